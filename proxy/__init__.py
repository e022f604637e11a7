"""In the request path: a gunicorn gevent worker that forwards."""
