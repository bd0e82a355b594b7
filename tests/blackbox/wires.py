"""Wires between two processes that a test can cut, slow down and tear: TCP proxies on ports of their own, all on one thread.

A wire that is cut holds what was sent, as a pulled cable does, and gives it out when it is mended; connections stay open meanwhile,
and new ones are taken and hear nothing. A wire that is torn resets every connection there is. Any user may make them.
"""

import asyncio
import socket
import struct
import threading

CHUNK, WAITING = 65536, 64  # bytes read at once; chunks on their way, past which the sender waits


class Wire:
    """One port that leads to `to` (host, port), set before anybody connects. With `server_tls` or `client_tls` (SSL contexts) that side is TLS."""

    def __init__(self, loom, to=None, server_tls=None, client_tls=None):
        self.loom, self.to, self.client_tls, self.delay_s = loom, to, client_tls, 0.0
        self.ends, self.passed = set(), 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.server = loom.do(asyncio.start_server(self.join, "127.0.0.1", 0, ssl=server_tls))
        self.port = self.server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    # -- what a test does ------------------------------------------------------------------

    def cut(self):
        self.loom.call(self.flowing.clear)

    def delay(self, seconds):
        """Each way."""
        self.delay_s = seconds

    def mend(self):
        self.delay_s = 0.0
        self.loom.call(self.flowing.set)

    def tear(self):
        """Every connection is reset; a new one goes through."""
        self.loom.call(self.tear_now)

    # -- on the loom's thread --------------------------------------------------------------

    def tear_now(self):
        for writer in list(self.ends):
            raw = writer.get_extra_info("socket")
            if raw is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def join(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.to, ssl=self.client_tls, server_hostname="localhost" if self.client_tls else None)
        except OSError:
            writer.transport.abort()
            return
        self.ends |= {writer, far_writer}
        ways = [asyncio.ensure_future(self.carry(reader, far_writer)), asyncio.ensure_future(self.carry(far_reader, writer))]
        try:
            await asyncio.gather(*ways)
        except OSError:
            pass  # torn, or one of the two processes is gone
        finally:
            for way in ways:
                way.cancel()
            self.ends -= {writer, far_writer}
            for one in (writer, far_writer):
                one.transport.abort()

    async def carry(self, reader, writer):
        """Chunks keep their order; each leaves `delay_s` after it came."""
        on_the_way = asyncio.Queue(WAITING)
        reading = asyncio.ensure_future(self.take(reader, on_the_way))
        try:
            while True:
                due, chunk = await on_the_way.get()
                await asyncio.sleep(max(0, due - self.loom.loop.time()))
                await self.flowing.wait()
                if not chunk:
                    writer.write_eof() if writer.can_write_eof() else writer.close()
                    return
                writer.write(chunk)
                self.passed += len(chunk)
                await writer.drain()
        finally:
            reading.cancel()

    async def take(self, reader, on_the_way):
        chunk = b"?"
        while chunk:
            try:
                chunk = await reader.read(CHUNK)
            except OSError:
                chunk = b""
            await on_the_way.put((self.loom.loop.time() + self.delay_s, chunk))


class Loom:
    """The thread that all wires of a test run on."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.wires = []

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, function):
        async def once():
            function()
        self.do(once())

    def wire(self, to=None, **options):
        self.wires.append(Wire(self, to, **options))
        return self.wires[-1]

    def close(self):
        for wire in self.wires:
            self.call(wire.server.close)
            wire.tear()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
