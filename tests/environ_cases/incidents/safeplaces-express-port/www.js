const port = normalizePort(process.env.PORT || '3000');
api.start(port);
