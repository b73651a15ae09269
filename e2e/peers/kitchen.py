"""An upstream that answers everything with `true`, over TLS if it is given a certificate.

    kitchen.py ADDRESS [CERTIFICATE KEY]

Over TLS each connection serves one call, and the certificate is read anew for each connection.
"""

import http.server
import ssl
import sys


class Kitchen(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self):
        if len(sys.argv) > 2:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[2], sys.argv[3])
            self.request = context.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "4")
        if len(sys.argv) > 2:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A peer that refuses the certificate, or goes away, is what the tests are about."""


server = Server((sys.argv[1], 0), Kitchen)
print("listening on %s:%d" % server.server_address, flush=True)
server.serve_forever()
