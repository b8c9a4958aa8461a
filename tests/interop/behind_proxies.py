#!/usr/bin/python3
"""An echo server behind nginx and HAProxy: they tell it who the client is, and pass all of it on.

Each is started here, on free ports of the loopback interface, with a configuration in a temporary
folder; clients come from 127.0.0.5, which is no proxy's address.
"""

import asyncio
import re
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

import websockets

import echo_server
import wire
from echo_server import TIMEOUT, Server

CLIENT = "127.0.0.5"

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {folder}/pem; ssl_certificate_key {folder}/pem;
    location / {{
      proxy_pass http://127.0.0.1:{by_headers};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""

HAPROXY = """
defaults
  timeout connect 30s
  timeout client 60s
  timeout server 60s
listen version1
  mode tcp
  bind 127.0.0.1:{version1}
  server echo 127.0.0.1:{by_protocol} send-proxy
listen version2
  mode tcp
  bind 127.0.0.1:{version2}
  server echo 127.0.0.1:{by_protocol} send-proxy-v2
listen tls
  mode tcp
  bind 127.0.0.1:{ha_tls} ssl crt {folder}/pem
  server echo 127.0.0.1:{by_protocol} send-proxy-v2 proxy-v2-options ssl,unique-id
listen http
  mode http
  option forwardfor
  bind 127.0.0.1:{http}
  server echo 127.0.0.1:{by_headers}
listen rfc7239
  mode http
  http-request add-header Forwarded "for=%[src];host=\\"%[req.hdr(host)]\\";proto=https"
  bind 127.0.0.1:{rfc7239} ssl crt {folder}/pem
  server echo 127.0.0.1:{by_forwarded}
"""

# Of the draft's section 1.3.
DRAFT_76 = ("GET /demo HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
            "Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {{   U1]8  z [  8\r\n"
            "Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}}` 0\r\n"
            "Origin: {page}://{host}\r\n\r\nTm[K T2u")

ports = {}
servers = {}
context = None


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return numbers


def start(*command, ports):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    echo_server.cleanup.callback(process.wait)
    echo_server.cleanup.callback(process.kill)
    deadline = time.monotonic() + TIMEOUT
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), TIMEOUT).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{command} does not listen: {process.stderr.read()}")
                time.sleep(0.01)


def setUpModule():
    global context
    folder = echo_server.cleanup.enter_context(tempfile.TemporaryDirectory())
    subprocess.run(["/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=proxy",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key",
                    "-out", f"{folder}/crt"], check=True, capture_output=True)
    with open(f"{folder}/pem", "w") as pem:
        for part in ("crt", "key"):
            pem.write(open(f"{folder}/{part}").read())
    context = ssl.create_default_context(cafile=f"{folder}/crt")

    for name, options in (("by_headers", ("--drafts",)), ("by_forwarded", ("--forwarded",)),
                          ("by_protocol", ("--proxy-protocol",))):
        servers[name] = Server("--port", "0", "--trusted-proxy", "127.0.0.1", *options,
                               ready=r"\S+ listening on http://127\.0\.0\.1:(\d+)/")
        ports[name] = servers[name].port
    nginx, haproxy = ["plain", "tls"], ["version1", "version2", "ha_tls", "http", "rfc7239"]
    ports.update(zip(nginx + haproxy, free_ports(7)))
    for name, text in (("nginx", NGINX), ("haproxy", HAPROXY)):
        with open(f"{folder}/{name}", "w") as configuration:
            configuration.write(text.format(folder=folder, **ports))
    start("/usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", f"{folder}/nginx",
          ports=[ports[name] for name in nginx])
    start("/usr/sbin/haproxy", "-db", "-q", "-f", f"{folder}/haproxy",
          ports=[ports[name] for name in haproxy])


def tearDownModule():
    for server in servers.values():
        server.stop()


def client_of(server):
    """Who the next client is, as the server says."""
    while True:
        line = server.line()
        if match := re.fullmatch(r"\d+: open, from (\S+)", line):
            return match[1]
        if not re.fullmatch(r"\d+: closed, .*", line):
            raise AssertionError(f"the server says {line!r}")


class Proxies(unittest.TestCase):
    def check_echo(self, port, server, address, tls=False, **options):
        async def talk():
            scheme = "wss" if tls else "ws"
            async with websockets.connect(f"{scheme}://127.0.0.1:{ports[port]}/room?x=1",
                                          local_addr=(CLIENT, 0), ping_interval=None, max_size=None,
                                          ssl=context if tls else None, compression=None,
                                          **options) as client:
                for message in ("hello", "", b"\0\xff", "x" * 200_000):
                    await client.send(message)
                    self.assertEqual(await client.recv(), message)
                await (await client.ping(b"ping"))
                await client.close(1000, "done")
            self.assertEqual(client.close_code, 1000)

        asyncio.run(asyncio.wait_for(talk(), TIMEOUT))
        self.assertRegex(client_of(servers[server]), address)

    def check_page(self, port, scheme, status, server="by_headers"):
        """A page of the host that the proxy was asked for may connect, and another may not."""
        origins = {f"{scheme}://127.0.0.1:{ports[port]}": 101, "http://evil.example": status}
        for origin, expected in origins.items():
            with socket.create_connection(("127.0.0.1", ports[port]), TIMEOUT) as plain:
                stream = context.wrap_socket(plain, server_hostname="127.0.0.1") \
                    if scheme == "https" else plain
                with stream:
                    stream.sendall(wire.request(f"Host: 127.0.0.1:{ports[port]}",
                                                f"+Origin: {origin}"))
                    self.assertEqual(int(stream.recv(12)[9:]), expected, origin)
        client_of(servers[server])

    def check_location(self, port, scheme):
        """What a client of draft 76 compares with its URL is what the proxy was asked for."""
        host = f"127.0.0.1:{ports[port]}"
        with socket.create_connection(("127.0.0.1", ports[port]), TIMEOUT) as plain:
            stream = context.wrap_socket(plain, server_hostname="127.0.0.1") \
                if scheme == "wss" else plain
            with stream, stream.makefile("rb") as answer:
                stream.sendall(DRAFT_76.format(host=host, page=scheme.replace("ws", "http")).encode())
                self.assertEqual(answer.readline()[:13], b"HTTP/1.1 101 ")
                headers = dict(line.rstrip(b"\r\n").split(b": ", 1)
                               for line in iter(answer.readline, b"\r\n"))
                self.assertEqual(headers[b"Sec-WebSocket-Location"],
                                 f"{scheme}://{host}/demo".encode())
                self.assertEqual(answer.read(16), b"fQJ,fN/4F4!~K~MH")
                stream.sendall(b"\0hello\xff")
                self.assertEqual(answer.read(7), b"\0hello\xff")
                stream.sendall(b"\xff\0")
                self.assertEqual(answer.read(2), b"\xff\0")
        client_of(servers["by_headers"])

    def test_what_a_client_claims_is_not_believed(self):
        for port in ("plain", "http"):
            for claim in ("203.0.113.9", '"', '203.0.113.9, "a'):
                self.check_echo(port, "by_headers", rf"\A{re.escape(CLIENT)}:0\Z",
                                extra_headers={"X-Forwarded-For": claim})
        self.check_echo("rfc7239", "by_forwarded", rf"\A{re.escape(CLIENT)}:0\Z", True,
                        extra_headers={"Forwarded": "for=203.0.113.9;proto=http",
                                       "X-Forwarded-For": "203.0.113.9"})

    def test_a_stranger_may_come_without_a_proxy(self):
        for name, server in servers.items():
            ports["direct"] = server.port
            self.check_echo("direct", name, rf"\A{re.escape(CLIENT)}:[1-9]\d+\Z",
                            extra_headers={"X-Forwarded-For": "203.0.113.9"})

    def test_a_stranger_may_send_no_proxy_header(self):
        address = servers["by_protocol"].address
        v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\1" + struct.pack("!HH", 1, 2)
        for header in (b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n", v2):
            with socket.create_connection(address, TIMEOUT, (CLIENT, 0)) as client:
                client.sendall(header + wire.request())
                with self.assertRaises(ConnectionResetError):
                    if client.recv(1) == b"":
                        raise AssertionError("an end, and no reset")
        said = servers["by_protocol"].stderr()
        self.assertEqual(said.count("not among the trusted proxies"), 2, said)
        with socket.create_connection(address, TIMEOUT) as client:  # from the proxies' address
            client.sendall(wire.request())
            with self.assertRaises(ConnectionResetError):
                client.recv(1)
        self.assertIn("a trusted proxy sent no PROXY header", servers["by_protocol"].stderr())


THE_CLIENT = rf"\A{re.escape(CLIENT)}:0\Z"
ITS_PORT = rf"\A{re.escape(CLIENT)}:[1-9]\d+\Z"

echo_server.add_cases(Proxies, [
    ("nginx", "plain", "by_headers", THE_CLIENT),
    ("nginx with TLS", "tls", "by_headers", THE_CLIENT, True),
    ("HAProxy HTTP", "http", "by_headers", THE_CLIENT),
    ("HAProxy RFC 7239 with TLS", "rfc7239", "by_forwarded", THE_CLIENT, True),
    ("HAProxy PROXY version 1", "version1", "by_protocol", ITS_PORT),
    ("HAProxy PROXY version 2", "version2", "by_protocol", ITS_PORT),
    ("HAProxy PROXY version 2 with TLS", "ha_tls", "by_protocol", ITS_PORT, True),
], Proxies.check_echo)
echo_server.add_cases(Proxies, [
    ("nginx", "plain", "http", 403),
    ("nginx with TLS", "tls", "https", 403),
    ("HAProxy RFC 7239 with TLS", "rfc7239", "https", 403, "by_forwarded"),
], Proxies.check_page)
echo_server.add_cases(Proxies, [
    ("nginx, draft 76", "plain", "ws"),
    ("nginx with TLS, draft 76", "tls", "wss"),
], Proxies.check_location)


if __name__ == "__main__":
    echo_server.run()
