// A backend in Java, as answer.py.
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import sun.misc.Signal;

public class Answer {
    static byte[] read(String path) throws IOException {
        if (path.equals("/child")) {
            return new ProcessBuilder("cat", "/proc/self/environ").start().getInputStream().readAllBytes();
        }
        return Files.readAllBytes(Path.of(path.equals("/") ? "/proc/self/environ" : path));
    }

    public static void main(String[] arguments) throws IOException {
        for (String name : new String[] {"TERM", "INT"}) {
            Signal.handle(new Signal(name), signal -> {
                System.out.println("stopped by " + signal.getNumber());
                Runtime.getRuntime().halt(0);
            });
        }
        HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(arguments[0])), 0);
        server.createContext("/", exchange -> {
            String path = exchange.getRequestURI().getPath();
            if (path.startsWith("/exit/")) {
                Runtime.getRuntime().halt(Integer.parseInt(path.substring("/exit/".length())));
            }
            try {
                byte[] body = read(path);
                exchange.sendResponseHeaders(200, body.length == 0 ? -1 : body.length);
                exchange.getResponseBody().write(body);
            } catch (IOException error) {
                exchange.sendResponseHeaders(404, -1);
            }
            exchange.close();
        });
        server.start();
    }
}
