"""A small orders service, worth proxying: an API over SQLite, with endpoints that wait, stream, echo and call out.

    SECRET_KEY=anything gunicorn --bind=127.0.0.1:8000 "orders:create_app()"

It asks its environment for SECRET_KEY (required, signs receipts), DATABASE (a path), LOG_LEVEL, OTEL_SERVICE_NAME,
QUOTES_URL (the service that knows prices; by default this one itself, at PORT). It is safe with several workers.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import requests
from flask import Flask, Response, abort, jsonify, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

PRICES_CENTS = {"coffee": 420, "tea": 310, "cake": 550}
PASSED_ON = ("traceparent", "tracestate", "x-request-id")


class Settings(NamedTuple):
    """What the service takes from its environment."""

    secret_key: str
    database: str
    log_level: str
    service_name: str
    quotes_url: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        if not environ.get("SECRET_KEY"):
            raise LookupError("cannot start orders: SECRET_KEY is not set; set it to any text")
        return cls(
            secret_key=environ["SECRET_KEY"],
            database=environ.get("DATABASE") or str(Path(tempfile.gettempdir(), f"orders-{os.getuid()}.sqlite")),
            log_level=environ.get("LOG_LEVEL", "info").upper(),
            service_name=environ.get("OTEL_SERVICE_NAME", "orders"),
            quotes_url=environ.get("QUOTES_URL") or f"http://127.0.0.1:{environ.get('PORT', '8000')}/prices",
        )


class Store:
    """The orders, in a SQLite file that any number of threads and processes may use at once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        with Path(f"{path}.lock").open("w") as lock:
            # Switching a new database to WAL fails at once, not after the busy timeout, while another worker does it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._execute("PRAGMA journal_mode = WAL")
            self._execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT, quantity INTEGER)")
            for order in ((1, "coffee", 2), (2, "tea", 1), (3, "cake", 4)):
                self._execute("INSERT OR IGNORE INTO orders VALUES (?, ?, ?)", *order)
        # A connection must not be carried over a fork (gunicorn --preload).
        self._local.connection.close()
        del self._local.connection

    def create(self, item: str, quantity: int) -> dict[str, Any]:
        number = self._execute("INSERT INTO orders (item, quantity) VALUES (?, ?)", item, quantity).lastrowid
        return {"id": number, "item": item, "quantity": quantity}

    def latest(self, limit: int) -> list[dict[str, Any]]:
        return self._query("SELECT * FROM orders ORDER BY id DESC LIMIT ?", limit)

    def get(self, number: int) -> dict[str, Any] | None:
        return next(iter(self._query("SELECT * FROM orders WHERE id = ?", number)), None)

    def _query(self, sql: str, *values: object) -> list[dict[str, Any]]:
        return [dict(row) for row in self._execute(sql, *values)]

    def _execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if not hasattr(self._local, "connection"):
            self._local.connection = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            self._local.connection.row_factory = sqlite3.Row
        cursor: sqlite3.Cursor = self._local.connection.execute(sql, values)
        return cursor


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """The service with the settings in `environ`, by default those of this process."""
    environ = dict(os.environ if environ is None else environ)
    settings = Settings.read(environ)
    store = Store(settings.database)
    app = Flask("orders")
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
    app.logger.setLevel(settings.log_level)

    def signed(order: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(order, sort_keys=True).encode()
        return {**order, "receipt": hmac.new(settings.secret_key.encode(), text, hashlib.sha256).hexdigest()}

    @app.post("/orders")
    def create() -> tuple[Response, int, dict[str, str]]:
        body = request.get_json()
        match body:
            case {"item": str(item), "quantity": int(quantity)} if not isinstance(quantity, bool):
                pass
            case _:
                abort(400, 'send {"item": TEXT, "quantity": NUMBER}')
        if not 1 <= len(item) <= 100 or not 1 <= quantity <= 1000:
            abort(400, "item must have 1 to 100 characters, quantity be 1 to 1000")
        order = store.create(item, quantity)
        app.logger.info("created order %d", order["id"])
        return jsonify(signed(order)), 201, {"Location": url_for("show", number=order["id"])}

    @app.get("/orders")
    def latest() -> Response:
        return jsonify(orders=[signed(order) for order in store.latest(number_from_query("limit", 20, 1, 100))])

    @app.get("/orders/<int:number>")
    def show(number: int) -> Response:
        order = store.get(number) if number < 2**63 else None
        if order is None:
            abort(404, f"there is no order {number}")
        order = signed(order)
        response = jsonify(order)
        response.set_etag(order["receipt"])
        response.make_conditional(request)
        return response

    @app.get("/slow")
    def slow() -> Response:
        milliseconds = number_from_query("ms", 250, 0, 10_000)
        time.sleep(milliseconds / 1000)
        return jsonify(waited_ms=milliseconds)

    @app.get("/stream")
    def stream() -> Response:
        lines = number_from_query("lines", 10, 0, 10_000)
        interval_ms = number_from_query("interval_ms", 100, 0, 1_000)

        def produce() -> Iterator[str]:
            for line in range(lines):
                if line:
                    time.sleep(interval_ms / 1000)
                yield f"line {line + 1} of {lines}\n"

        return Response(produce(), mimetype="text/plain")

    def echo() -> Response:
        body = request.get_data()
        return jsonify(
            method=request.method,
            target=request.environ.get("RAW_URI", request.full_path),
            headers=[list(field) for field in request.headers],
            body_length=len(body),
            body=body.decode("latin-1"),  # one character a byte, whatever the bytes are
        )

    # A rule without methods takes every method, known to HTTP or not.
    app.url_map.add(Rule("/echo", endpoint="echo"))
    app.view_functions["echo"] = echo

    @app.get("/prices")
    def prices() -> Response:
        item = request.args.get("item", "")
        if item not in PRICES_CENTS:
            abort(404, "there is no price for this item")
        return jsonify(item=item, cents=PRICES_CENTS[item])

    @app.get("/quote")
    def quote() -> Response | tuple[Response, int]:
        item, quantity = request.args.get("item", "coffee"), number_from_query("quantity", 1, 1, 1000)
        passed_on = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        try:
            answer = requests.get(settings.quotes_url, params={"item": item}, headers=passed_on, timeout=2)
            answer.raise_for_status()
            cents = int(answer.json()["cents"])
        except (requests.RequestException, KeyError, TypeError, ValueError) as error:
            app.logger.warning("no price for a quote: %s", type(error).__name__)
            return jsonify(error="the service that knows prices gave none"), 502
        return jsonify(item=item, quantity=quantity, total_cents=quantity * cents)

    @app.get("/healthz")
    def healthz() -> Response | tuple[Response, int]:
        try:
            store.latest(1)
        except sqlite3.Error as error:
            app.logger.error("the database does not answer: %s", error)
            return jsonify(status="the database does not answer"), 503
        return jsonify(status="ok")

    @app.get("/config")
    def config() -> Response:
        return jsonify(names=sorted(environ))  # names only: values are nobody's business

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code or 500

    @app.after_request
    def name_service(response: Response) -> Response:
        response.headers["Service"] = settings.service_name
        return response

    if environ.get("PILLION_EMBED"):  # layout embedded: what the proxy does for each request is done in here
        from pillion.proxy.concerns.wsgi import embed

        app.wsgi_app = embed(app.wsgi_app, environ)  # type: ignore[assignment, method-assign]
    return app


def number_from_query(name: str, default: int, low: int, high: int) -> int:
    """The whole number that the query gives for `name`; answers 400 if it is none from `low` to `high`."""
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        abort(400, f"{name} must be a whole number from {low} to {high}")
    return int(text)
