"""hub_server.py PLAN: an HTTP server that plays a hub, its failures included.

PLAN is a JSON file {"path?query": [answer, ...]}: each request takes the next answer, the last one again and again.
It is read anew for every request, so that a test may change it. An answer has any of
  status, headers         {port} and {other} in header values become the server's two ports
  body | size | file      the text, or so many bytes 0, 1, ... 250, 0, ..., or a file's content
  length                  what Content-Length says, if not the truth; -1: none, the connection's end is the body's
  cut                     the connection ends after so many bytes of the body
  stall                   seconds of silence in the middle of the body
  etag, ranges            ranges false: Range is ignored; otherwise Range and If-Range are honored
  offset_by               the part sent begins so many bytes too late
The two ports are printed, one a line. /log answers with all requests so far, as JSON; a request with an absolute
URI (as to a proxy) is found in PLAN by that URI.
"""

import http.server
import json
import socket
import sys
import threading
import time

PLAN = sys.argv[1]
LOG, TAKEN, LOCK = [], {}, threading.Lock()
PORTS = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/log":
            return self.send_all(200, {}, json.dumps(LOG).encode())
        with LOCK:
            LOG.append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()},
                        "port": self.server.server_address[1]})
            with open(PLAN) as file:
                answers = json.load(file).get(self.path)
            if answers is None:
                return self.send_all(404, {}, b"Entry not found")
            index = TAKEN.get(self.path, 0)
            TAKEN[self.path] = index + 1
        self.play(answers[min(index, len(answers) - 1)])

    def send_all(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def play(self, answer):
        if "file" in answer:
            with open(answer["file"], "rb") as file:
                body = file.read()
        else:
            body = answer["body"].encode() if "body" in answer else bytes(i % 251 for i in range(answer.get("size", 0)))
        status, etag = answer.get("status", 200), answer.get("etag")
        headers = {name: value.replace("{port}", str(PORTS[0])).replace("{other}", str(PORTS[1]))
                   for name, value in answer.get("headers", {}).items()}
        if etag:
            headers["ETag"] = etag
        wanted = self.headers.get("Range")
        if wanted and status == 200 and answer.get("ranges", True) and self.headers.get("If-Range", etag) == etag:
            begin = int(wanted[len("bytes="):].split("-")[0]) + answer.get("offset_by", 0)
            if begin >= len(body):
                return self.send_all(416, {"Content-Range": f"bytes */{len(body)}"}, b"beyond the end")
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[begin:]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        length = answer.get("length", len(body))
        if length >= 0:
            self.send_header("Content-Length", str(length))
        else:
            self.close_connection = True
        self.end_headers()
        body = body[:answer.get("cut", len(body))]
        half = len(body) // 2
        self.wfile.write(body[:half])
        if "stall" in answer:
            self.wfile.flush()
            time.sleep(answer["stall"])
        self.wfile.write(body[half:])
        self.wfile.flush()
        if "cut" in answer or length > len(body):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that hang up are part of the tests


servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
PORTS.extend(server.server_address[1] for server in servers)
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(*PORTS, sep="\n", flush=True)
sys.stdin.read()  # until the test closes the pipe or ends
