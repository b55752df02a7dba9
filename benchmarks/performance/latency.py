"""What nginx asks before each request when it shall be far away: the answer comes late.

nginx holds the request back until then, and itself sends the data, which cost nothing more.
Run as ``python -m … PORT MILLISECONDS``.
"""

import asyncio
import sys

ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


class Late(asyncio.Protocol):
    """Answers each request after a while; nginx sends one at a time on a connection."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - told to the type checker
        self.out = transport

    def data_received(self, data: bytes) -> None:
        """Answer when a request has come to its end; it has no body."""
        if data.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(self.delay_s, self._answer)

    def _answer(self) -> None:
        if not self.out.is_closing():
            self.out.write(ANSWER)


async def main(port: int, delay_s: float) -> None:
    """Answer until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Late(delay_s), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000))
