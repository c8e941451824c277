"""A lean HTTP client: requests made ahead, one connection that is kept. urllib would cost more than what is measured."""

import socket


def request(method, target, body=b"", address="localhost"):
    """The bytes of one. `address` is only for the Host field."""
    return (f"{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


class Connection:
    """To one node; it connects when it is first needed, and again after a failure."""

    def __init__(self, address, timeout_s):
        host, port = address.rsplit(":", 1)
        self.place = host, int(port)
        self.timeout_s = timeout_s
        self.socket = None
        self.buffer = b""

    def ask(self, question):
        """Status and body. OSError (a timeout is one) leaves the connection closed."""
        try:
            if self.socket is None:
                self.socket = socket.create_connection(self.place, self.timeout_s)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.buffer = b""
            self.socket.sendall(question)
            return self._answer()
        except OSError:
            self.close()
            raise

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionResetError("closed by the node")
        self.buffer += piece

    def _until(self, mark):
        while (at := self.buffer.find(mark)) < 0:
            self._more()
        found, self.buffer = self.buffer[:at], self.buffer[at + len(mark):]
        return found

    def _take(self, size):
        while len(self.buffer) < size:
            self._more()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def _answer(self):
        head = self._until(b"\r\n\r\n").lower()
        status = int(head[9:12])
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            body = self._take(int(head[at + 17:].split(b"\r\n", 1)[0]))
        elif b"\r\ntransfer-encoding: chunked" in head:
            body = b""
            while size := int(self._until(b"\r\n"), 16):
                body += self._take(size)
                self._take(2)
            self._take(2)
        else:
            raise ConnectionError("an answer without a length")
        if b"\r\nconnection: close" in head:
            self.close()
        return status, body
