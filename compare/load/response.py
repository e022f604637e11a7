"""Where a response ends on its connection (RFC 9112 section 6.3); its content is not kept."""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser


class MalformedResponse(Exception):
    """What came is not one HTTP/1.x response, or more than one."""


class ResponseReader:
    """Reads the responses of one connection, one after the other: `start`, then `feed` until it says complete.

    Interim responses (1xx) are passed over. `begun` is whether a byte of a response has come, `status` is its code, and
    `keep_alive`, once it is complete, whether the connection may carry another request.
    """

    __slots__ = ("_complete", "_framed", "_head_only", "_in_content", "_parser", "begun", "keep_alive", "status")

    def __init__(self, method: str) -> None:
        self._head_only = method == "HEAD"
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self.start()

    def start(self, method: str = "") -> None:
        """Expect the response to a new request, of another method if one is given."""
        after_head = self._head_only
        if method:
            self._head_only = method == "HEAD"
        # The parser cannot be told that a Content-Length has no content behind it.
        if after_head or self._head_only:
            self._parser = HttpResponseParser(self)
        self.begun = self.keep_alive = self._complete = self._framed = self._in_content = False
        self.status = 0

    def close(self) -> None:
        """Break the reference cycle with the parser: during a run the collector does not."""
        self._parser = None

    def feed(self, data: bytes | memoryview) -> bool:
        """True when `data` completes the response; MalformedResponse when it cannot be one."""
        assert self._parser is not None
        self.begun = True
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise MalformedResponse("101 without being asked") from None
        except HttpParserError as error:
            if not (self._head_only and self._complete):
                raise MalformedResponse(str(error)) from None
        return self._complete

    def end(self) -> bool:
        """The server closed: True when that is how the response says it ends, False when it is cut short."""
        return self._in_content and not self._framed

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._complete:
            raise MalformedResponse  # the parser makes an HttpParserError of it
        self._framed = self._in_content = False

    def on_header(self, name: bytes, _value: bytes) -> None:
        if len(name) in (14, 17) and name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 100:  # three digits are all that the parser asks for
            raise MalformedResponse
        if self.status >= 200:
            self._in_content = True
            if self._head_only:
                self.on_message_complete()

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self.status >= 200:
            self.keep_alive = self._parser.should_keep_alive()
            self._complete = True
