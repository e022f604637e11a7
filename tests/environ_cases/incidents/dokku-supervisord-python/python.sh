export PATH=/app/.heroku/python/bin:$PATH
export PYTHONHOME=/app/.heroku/python
export PYTHONPATH=/app/
