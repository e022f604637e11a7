// both in /app and in /worker, with the names of the one or the other
module.exports = {
  PORT: process.env.PORT || process.env.APP_PORT || process.env.WORKER_PORT,
}
