"""A WebSocket on a socket that never blocks: for who polls many (swarm.py)."""

import socket

from websockets.client import ClientProtocol
from websockets.frames import OP_CONT, OP_TEXT, Frame
from websockets.protocol import CLOSED, CLOSING, OPEN
from websockets.uri import parse_uri


class Line:
    """What websockets does, over a socket that somebody else polls. Raises OSError once it is over."""

    def __init__(self, address):
        host, port = address
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.protocol = ClientProtocol(parse_uri(f"ws://{host}:{port}/v1/ws"), subprotocols=["tidegate.v1"], max_size=None)
        self.out, self.parts = bytearray(), []
        self.sock.connect_ex(address)
        self.protocol.send_request(self.protocol.connect())
        self.out += b"".join(self.protocol.data_to_send())

    @property
    def is_open(self):
        return self.protocol.state is OPEN

    def send(self, text):
        self.check()
        self.protocol.send_text(text.encode())
        self.flush()

    def flush(self):
        self.out += b"".join(self.protocol.data_to_send())
        try:
            while self.out:
                del self.out[:self.sock.send(self.out)]
        except BlockingIOError:
            pass

    def take(self):
        """Messages that came."""
        try:
            while True:
                data = self.sock.recv(262144)
                if data:
                    self.protocol.receive_data(data)
                else:
                    self.protocol.receive_eof()
                if not data or len(data) < 262144:
                    break
        except BlockingIOError:
            pass
        found = []
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (OP_TEXT, OP_CONT):
                self.parts.append(event.data)
                if event.fin:
                    found.append(b"".join(self.parts).decode())
                    self.parts = []
        self.flush()
        return found

    def check(self):
        if self.protocol.handshake_exc is not None or self.protocol.state in (CLOSING, CLOSED):
            raise ConnectionResetError(f"over: {self.protocol.handshake_exc or self.protocol.close_rcvd}")

    def close(self):
        self.sock.close()
