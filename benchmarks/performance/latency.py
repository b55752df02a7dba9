"""A proxy on loopback that holds every request back, as a far server would.

A request comes in one piece, so that each piece from the client waits; what the server answers
passes at once. Run as ``python -m … PORT SERVER_PORT MILLISECONDS``.
"""

import asyncio
import sys

SMALL = 2**21
"""Bytes that may wait in a socket's buffer before the other side is told to stop."""


class Pipe(asyncio.Protocol):
    """One direction: what arrives here goes out there, after a while."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.out: asyncio.Transport | None = None
        self.here: asyncio.Transport | None = None
        self.other: Pipe | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - told to the type checker
        transport.set_write_buffer_limits(high=SMALL)
        self.here = transport

    def connect(self, out: asyncio.Transport, other: "Pipe") -> None:
        """Send on what came before the other side was there, and all that follows."""
        self.out, self.other = out, other
        for data in self.early:
            out.write(data)
        self.early.clear()

    def data_received(self, data: bytes) -> None:
        """Send on, later or at once."""
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self._send, data)
        else:
            self._send(data)

    def _send(self, data: bytes) -> None:
        if self.out is None:
            self.early.append(data)
        elif not self.out.is_closing():
            self.out.write(data)

    def pause_writing(self) -> None:
        """Stop reading on the other side: nobody takes what is written here."""
        if self.other and self.other.here and not self.other.here.is_closing():
            self.other.here.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        if self.other and self.other.here and not self.other.here.is_closing():
            self.other.here.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Close the other side, too, when all is sent."""
        if self.out:
            self.out.close()


class Front(Pipe):
    """The client's side: opens a connection to the server for each of its own."""

    def __init__(self, delay_s: float, server_port: int) -> None:
        super().__init__(delay_s)
        self.server_port = server_port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the server."""
        super().connection_made(transport)
        self.task = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        back = Pipe(0)
        out, _ = await loop.create_connection(lambda: back, "127.0.0.1", self.server_port)
        assert self.here is not None  # noqa: S101 - told to the type checker
        back.connect(self.here, self)
        self.connect(out, back)


async def main(port: int, server_port: int, delay_s: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Front(delay_s, server_port), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
