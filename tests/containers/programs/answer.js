// A backend in JavaScript, as answer.py.
const fs = require("fs");
const http = require("http");
const os = require("os");
const { execFileSync } = require("child_process");

function read(path) {
  if (path === "/child") return execFileSync("cat", ["/proc/self/environ"]);
  return fs.readFileSync(path === "/" ? "/proc/self/environ" : path);
}

const server = http.createServer((request, response) => {
  if (request.url.startsWith("/exit/")) process.exit(Number(request.url.slice("/exit/".length)));
  try {
    response.end(read(request.url));
  } catch (error) {
    response.writeHead(404).end();
  }
});

for (const name of ["SIGTERM", "SIGINT", "SIGQUIT"]) {
  process.on(name, () => {
    fs.writeSync(1, `stopped by ${os.constants.signals[name]}\n`);
    process.exit(0);
  });
}
server.listen(Number(process.argv[2]), "0.0.0.0");
