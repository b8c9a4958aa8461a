#!/usr/bin/python3
"""Writes the fuzz targets' first inputs into corpus/<target>/, valid ones and each kind of invalid.

What a fuzzer finds is put beside them under a name of its own; this script leaves it alone.
"""

import struct
import zlib
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode, payload=b"", *, fin=True, rsv=0, key=None, length_bytes=None, announced=None):
    """A frame as RFC 6455 section 5.2 draws it; length_bytes 0, 2 or 8 forces a form."""
    length = len(payload) if announced is None else announced
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 65536 else 8
    code = {0: length, 2: 126, 8: 127}[length_bytes]
    header = bytes([fin << 7 | rsv << 4 | opcode, (key is not None) << 7 | code])
    header += length.to_bytes(length_bytes, "big") if length_bytes else b""
    if key is None:
        return header + payload
    return header + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def close(code, reason=b""):
    return struct.pack(">H", code) + reason


# Streams of frames by name, for the sender's key: None for a server, four bytes for a client.
def streams(key):
    def f(opcode, payload=b"", **more):
        return frame(opcode, payload, key=key, **more)

    smiley = "\N{GRINNING FACE}".encode()
    return {
        "text": f(TEXT, b"Hello"),
        "text_empty": f(TEXT),
        "text_unicode": f(TEXT, "κόσμε ".encode() + smiley),
        "text_long": f(TEXT, b"0123456789abcdef" * 9),
        "binary": f(BINARY, bytes(range(256))),
        "binary_20000": f(BINARY, b"\xff" * 20000),
        "binary_large_unfinished": f(BINARY, b"x" * 900, announced=90000),
        "fragments": f(TEXT, b"Hel", fin=False) + f(CONTINUATION, b"l", fin=False) + f(CONTINUATION, b"o"),
        "fragments_empty": f(BINARY, fin=False) + f(CONTINUATION, fin=False) + f(CONTINUATION),
        "fragments_cut_character": f(TEXT, smiley[:2], fin=False) + f(CONTINUATION, smiley[2:]),
        "fragments_with_ping": f(TEXT, b"a", fin=False) + f(PING, b"?") + f(CONTINUATION, b"b"),
        "fragments_too_many": f(BINARY, b"x", fin=False) + f(CONTINUATION, b"y", fin=False) * 30,
        "ping": f(PING) + f(PING, b"p" * 125),
        "pong": f(PONG) + f(PONG, b"p"),
        "close": f(CLOSE),
        "close_1000": f(TEXT, b"bye") + f(CLOSE, close(1000, b"done")),
        "close_4999_then_more": f(CLOSE, close(4999)) + f(TEXT, b"too late"),
        "bad_close_half_code": f(CLOSE, b"\x03"),
        "bad_close_1005": f(CLOSE, close(1005)),
        "bad_close_999": f(CLOSE, close(999)),
        "bad_close_reason": f(CLOSE, close(1000, b"\xff")),
        "bad_rsv1": f(TEXT, b"x", rsv=4),
        "bad_rsv3": f(PING, b"x", rsv=1),
        "bad_opcode_3": f(3, b"x"),
        "bad_opcode_11": f(11, b"x"),
        "bad_mask": frame(TEXT, b"x", key=None if key else b"abcd"),
        "bad_ping_fragmented": f(PING, b"x", fin=False),
        "bad_ping_too_long": f(PING, b"x" * 126),
        "bad_length_not_minimal_2": f(TEXT, b"x" * 5, length_bytes=2),
        "bad_length_not_minimal_8": f(TEXT, b"x" * 126, length_bytes=8),
        "bad_length_top_bit": f(TEXT, b"x", length_bytes=8, announced=1 << 63),
        "bad_length_huge": f(TEXT, b"x", length_bytes=8, announced=(1 << 63) - 1),
        "bad_continuation_first": f(CONTINUATION, b"x"),
        "bad_text_inside_of_message": f(TEXT, b"x", fin=False) + f(TEXT, b"y"),
        "bad_message_too_big": f(BINARY, b"x", fin=False) + f(CONTINUATION, b"y" * 9, announced=100000),
        "bad_utf8": f(TEXT, b"good, then \xc0\xaf not"),
        "bad_utf8_surrogate": f(TEXT, b"\xed\xa0\x80"),
        "bad_utf8_cut_at_end": f(TEXT, smiley[:3]),
        "bad_utf8_over_fragments": f(TEXT, smiley[:3], fin=False) + f(CONTINUATION, b"x"),
        "unfinished_header": f(TEXT, b"x" * 200)[:3],
        "unfinished_payload": f(TEXT, b"Hello")[:-2],
    }


REQUEST = """GET /chat?room=1 HTTP/1.1
Host: example.org
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13
"""


def request(*more, without=None, **changed):
    """The request with header lines added, taken out, or changed: upgrade="h2c"."""
    lines = []
    for line in REQUEST.splitlines():
        name = line.split(":")[0]
        if name == without:
            continue
        value = changed.get(name.lower().replace("-", "_"))
        lines.append(f"{name}: {value}" if value is not None else line)
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def with_line(line):
    return request().replace(b"GET /chat?room=1 HTTP/1.1", line, 1)


KEY = b"\x37\xfa\x21\x3d"

REQUESTS = {
    "upgrade": request(),
    "upgrade_as_browsers_do": request(
        "Origin: http://example.org",
        "Cookie: a=b; c=d",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        connection="keep-alive, Upgrade",
    ),
    "upgrade_then_frames": request() + frame(TEXT, b"Hello", key=KEY) + frame(CLOSE, close(1000), key=KEY),
    "upgrade_absolute_target": with_line(b"GET http://example.org/chat HTTP/1.1"),
    "upgrade_latin_value": request("X-Name: caf\xe9\t!"),
    "plain_get": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "plain_get_then_another": b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "unfinished": request()[:-2],
    "bad_method": with_line(b"POST /chat HTTP/1.1"),
    "bad_version_1_0": with_line(b"GET /chat HTTP/1.0"),
    "bad_target": with_line(b"GET /caf\xe9#x HTTP/1.1"),
    "bad_request_line": b"hello\r\n\r\n",
    "bad_empty_line": b"\r\n\r\n",
    "bad_lf": request().replace(b"\r\n", b"\n"),
    "bad_cr": request().replace(b"Host: ", b"Host:\r"),
    "bad_control_character": request().replace(b"Host: ", b"Host: \0"),
    "bad_tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "bad_folded": request(" folded"),
    "bad_header_name": request("X Y: z"),
    "bad_no_colon": request("no colon"),
    "bad_no_host": request(without="Host"),
    "bad_two_hosts": request("Host: other"),
    "bad_host": request(host="a/b"),
    "bad_body": request("Content-Length: 5") + b"hello",
    "bad_connection": request(connection="close"),
    "bad_no_key": request(without="Sec-WebSocket-Key"),
    "bad_two_keys": request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "bad_key": request(sec_websocket_key="short"),
    "bad_websocket_version": request(sec_websocket_version="8"),
    "bad_subprotocol": request("Sec-WebSocket-Protocol: a b"),
    "bad_extension": request('Sec-WebSocket-Extensions: x; a="'),
    "bad_too_many_headers": request(*(f"X{i}: y" for i in range(20))),
    "bad_too_large": request("X: " + "y" * 2500),
}

RESPONSE = """HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: {accept}
"""


def response(*more, status=None, without=None):
    lines = [line for line in RESPONSE.splitlines() if line.split(":")[0] != without]
    if status:
        lines[0] = status
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


RESPONSES = {
    "switched": response(),
    "switched_then_frames": response() + frame(TEXT, b"Hello") + frame(CLOSE, close(1001, b"so long")),
    "switched_with_subprotocol": response("Sec-WebSocket-Protocol: superchat", "Set-Cookie: a=b"),
    "switched_no_words": response(status="HTTP/1.1 101"),
    "switched_after_interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(),
    "rejected_403": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    "rejected_302": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n",
    "unfinished": response()[:-2],
    "bad_version": response(status="HTTP/1.0 101 OK"),
    "bad_status": response(status="HTTP/1.1 1x1 OK"),
    "bad_status_000": response(status="HTTP/1.1 000 OK"),
    "bad_ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "bad_lf": response().replace(b"\r\n", b"\n"),
    "bad_folded": response(" folded"),
    "bad_no_upgrade": response(without="Upgrade"),
    "bad_no_connection": response(without="Connection"),
    "bad_no_accept": response(without="Sec-WebSocket-Accept"),
    "bad_accept": response().replace(b"{accept}", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    "accept_as_reason": b"HTTP/1.1 403 {accept}\r\nContent-Length: 2\r\n\r\nno",
    "bad_two_accepts": response("Sec-WebSocket-Accept: {accept}"),
    "bad_accept_without_colon": response().replace(b"Accept:", b"Accept"),
    "bad_subprotocol": response("Sec-WebSocket-Protocol: other"),
    "bad_extension": response("Sec-WebSocket-Extensions: permessage-deflate"),
    "bad_too_many_headers": response(*(f"X{i}: y" for i in range(20))),
    "bad_too_large": response("X: " + "y" * 2500),
}

# The first frames of a session that a script (see session.cpp) is put beside.
TALK = frame(TEXT, b"Hello", key=KEY) + frame(PING, b"?", key=KEY) + frame(BINARY, b"x" * 300, key=KEY)
TALK_OF_SERVER = frame(TEXT, b"Hello") + frame(PING, b"?") + frame(BINARY, b"x" * 300)
PINGS = frame(PING, b"?" * 125, key=KEY) * 2
BYE = frame(CLOSE, close(1000, b"bye"), key=KEY)
FRAGMENTS = (
    frame(TEXT, b"Hel", fin=False, key=KEY)
    + frame(PING, b"between", key=KEY)
    + frame(CONTINUATION, b"lo", key=KEY)
)
LARGE = frame(BINARY, b"y" * 20000, key=KEY)

def digit(value):
    """A number in a session's script, as its target reads it."""
    return bytes([ord("0") + value])


# What drafts 75 and 76 begin with.
REQUEST_75 = b"GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: example.org\r\nOrigin: http://example.org\r\n"
REQUEST_76 = REQUEST_75 + b"Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\r\nSec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\r\n"

# "Hello", as RFC 7692 section 7.2.3.1 compresses it, whole and in two fragments.
HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
COMPRESSED = (frame(TEXT, HELLO, rsv=4, key=KEY) + frame(TEXT, HELLO[:3], fin=False, rsv=4, key=KEY)
              + frame(PING, b"?", key=KEY) + frame(CONTINUATION, HELLO[3:], key=KEY))

# A slow frame, read in pieces so that what counts as a sign of life depends on their sum.
SLOW = b"o:." + digit(8) + (b"." + digit(207)) * 9 + b"." + digit(177) + b"t0t0t0t0." + digit(15) + b"t0\n"

SESSIONS = {
    "server_slow_frame": SLOW + frame(BINARY, b"x" * 4000, key=KEY),
    "server": b"e:\n" + request() + TALK + BYE,
    "server_answers_later": b"de:s0.o.oaos0\n" + request() + TALK + BYE,
    "server_rejects": b"d:.o.o.or0\n" + request() + TALK,
    "server_responds_wrongly": b"d:RoRoRoRor0\n" + request() + TALK,
    "server_holds": b"oe:h3p0H9h5Ho\n" + TALK + BYE,
    "server_stalls": b"oew:w0S0b0W9S0w0c0\n" + TALK + BYE,
    "server_sends": b"o:s1S2b3f4p5F6q7P8x9c:s5\n" + TALK + BYE,
    "server_closes_without_a_code": b"o:f5n5F5\n" + TALK + BYE,
    "server_is_closed": b"oe:s0\n" + BYE + TALK,
    "server_gives_up": b"d:c9\n" + request(),
    "server_loses_it": b"oe:l9\n" + TALK,
    "server_input_ends": b"oe:e9s0\n" + TALK,
    "server_pings": b"o:T0T0t9T0T0T0T0t0\n" + TALK,
    "server_pings_at_once": b"ok:\n" + PINGS + frame(3, key=KEY),
    "server_close_times_out": b"o:c0t9t0\n" + TALK,
    "server_handshake_times_out": b":t9t9\n" + request(),
    "server_streams": b"oti:s9\n" + FRAGMENTS + LARGE + BYE,
    "server_reads_in_place": b"oi:s9h9H9\n" + LARGE + BYE,
    "server_tight_limits": b"oekw:s9\n" + FRAGMENTS + TALK,
    "server_output_full": b"ok:w0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0W0s0\n",
    "server_little_memory": b"oem:w0S0b0S0W0\n" + TALK + LARGE,
    "server_pauses": b"oe:s9u5U9u0t0U0\n" + TALK + BYE,
    "server_prepared": b"o:m9m0\n" + TALK + BYE,
    "server_given_up": b"oe:s9g5\n" + TALK + BYE,
    "server_times": b"oeT:191911101010t0\n" + FRAGMENTS + TALK,
    "server_slow_message": b"oeT:" + b"151010" * 12 + b"\n" + FRAGMENTS * 3,
    "server_some_limits": b"oeMO:s9s9\n" + FRAGMENTS + TALK + BYE,
    "server_head_too_large": b"B:\n" + request("X: " + "y" * 400),
    "server_fragments": b"oF:\n" + FRAGMENTS.replace(frame(CONTINUATION, b"lo", key=KEY), b"") * 4,
    "server_draft": b"xe:s0\n" + REQUEST_76 + b"\r\nTm[K T2u\0Hello\xff\xff\0",
    "server_draft_8": b"xe:s0\n" + request(sec_websocket_version="8") + TALK + BYE,
    "server_compressed": b"oez:S9m9F0\n" + COMPRESSED + TALK + BYE,
    "server_takes_over": b"oeZ:S9m9f9F0\n" + COMPRESSED * 2 + BYE,
    "client": b"ce:\n" + response() + TALK_OF_SERVER,
    "client_closes": b"coe:c5\n" + TALK_OF_SERVER + frame(CLOSE, close(1000)),
    "client_sends": b"co:s1S2b3f4p5F6q7n8\n" + TALK_OF_SERVER,
    "client_gives_up": b"c:c9\n" + response(),
    "client_handshake_times_out": b"c:t9t9\n" + response(),
    "client_little_memory": b"com:w0S0S0S0W0\n" + TALK_OF_SERVER,
}


# Streams of drafts 75 and 76, and what they come behind.
HIXIE_FRAMES = {
    "text": b"\0Hello\xff\0\xff" + b"\0" + "κόσμε".encode() + b"\xff",
    "other_types": b"\x01a\xff\x7f\xff\x80\x03abc\x80\x80\x00\xfe\x81\x02" + b"x" * 130 + b"\0b\xff",
    "close": b"\0bye\xff\xff\0",
    "close_then_more": b"\xff\x80\0\0late\xff",
    "bad_text": b"\0ok\xc0\xaf\xff",
    "bad_text_cut": b"\0\xe2\x82\xff",
    "bad_size": b"\0" + b"x" * 201 + b"\xff",
    "bad_size_of_other": b"\x05" + b"\0" * 300,
    "bad_length": b"\x80\x81\x80\0",
    "bad_length_endless": b"\xff" + b"\x80" * 40,
    "unfinished": b"\0unfin",
    "unfinished_length": b"\x90\x80",
}
RESPONSE_75 = b"HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nWebSocket-Origin: http://example.org\r\nWebSocket-Location: ws://example.org/\r\nWebSocket-Protocol: chat\r\n\r\n"
RESPONSE_76 = RESPONSE_75.replace(b"WebSocket-", b"Sec-WebSocket-")


def drafts():
    seeds = {
        "server_75_subprotocol": b"s" + REQUEST_75 + b"WebSocket-Protocol: sample\r\n\r\n",
        "server_76_declared": b"s" + REQUEST_76 + b"Content-Length: 8\r\n\r\nTm[K T2u\0a\xff",
        "server_76_unfinished": b"s" + REQUEST_76 + b"\r\nTm[K",
        "server_76_bad_key": b"s" + REQUEST_76.replace(b"U1]8  z", b"U1]9z") + b"\r\n",
        "server_76_one_key": b"s" + REQUEST_75 + b"Sec-WebSocket-Key1: 1 1\r\n\r\n",
        "server_8": b"s" + request(sec_websocket_version="8") + TALK + frame(CLOSE, close(1004), key=KEY),
        "server_7_origins": b"s" + request("Sec-WebSocket-Origin: a", "Origin: b", sec_websocket_version="7"),
        "server_6": b"s" + request(sec_websocket_version="6"),
        "server_13": b"s" + request() + TALK + BYE,
        "client_8": b"8" + response() + TALK_OF_SERVER + frame(CLOSE, close(1004)),
        "client_76_wrong": b"7" + RESPONSE_76 + b"0123456789abcdef",
        "client_75_location": b"6" + RESPONSE_75.replace(b"org/", b"org/x"),
    }
    for name, content in HIXIE_FRAMES.items():
        seeds["server_75_" + name] = b"s" + REQUEST_75 + b"\r\n" + content
        seeds["server_76_" + name] = b"s" + REQUEST_76 + b"\r\nTm[K T2u" + content
    for name in ("text", "bad_text", "bad_size"):
        seeds["streaming_" + name] = b"S" + REQUEST_75 + b"\r\n" + HIXIE_FRAMES[name]
    for name in ("text", "close"):
        seeds["client_75_" + name] = b"6" + RESPONSE_75 + HIXIE_FRAMES[name]
        seeds["client_76_" + name] = b"7" + RESPONSE_76 + b"{answer}" + HIXIE_FRAMES[name]
    return seeds


# Sizes of the parts, less one, and a text that is long enough for vectors.
TEXTS = {
    "ascii": bytes([9, 40, 99]) + b"plain " * 40,
    "two": bytes([0, 20, 63]) + "\u00e9".encode() * 60,
    "three": bytes([30, 1, 80]) + "\u6f22".encode() * 60,
    "four": bytes([255, 2, 66]) + "\U0001f600".encode() * 50,
    "mixed": bytes([33, 65, 17]) + "a\u00e9\u6f22\U0001f600".encode() * 20,
    "bad_tail": bytes([255, 255, 255]) + b"a\x80".rjust(150, b"a"),
    "bad_lead": bytes([63, 63, 63]) + "\u00e9".encode() * 40 + b"\xc3" + b"a" * 40,
    "bad_overlong": bytes([66, 66, 66]) + "\u00e9".encode() * 40 + b"\xe0\x9f\xbf" + b"a" * 40,
    "bad_surrogate": bytes([80, 80, 80]) + "\u00e9".encode() * 40 + b"\xed\xa0\x80" + b"a" * 40,
    "bad_too_large": bytes([200, 9, 9]) + "\u00e9".encode() * 40 + b"\xf4\x90\x80\x80" + b"a" * 40,
    "bad_byte_last": bytes([255, 255, 255]) + "\u00e9".encode() * 40 + b"\xff",
    "cut_at_end": bytes([255, 255, 255]) + "\u00e9".encode() * 40 + b"\xf0\x9f\x98",
}


URLS = {
    "ws": b"ws://example.org:9001/path?query",
    "wss": b"wss://[2001:db8::1]/",
    "unix": b"ws+unix:/run/chat.sock:/path?query",
    "unix_of_node": b"ws+unix:///run/chat.sock:/path",
    "encoded": b"ws://a/%20%zz%",
    "proxy": b"http://us%65r:p%40ss@proxy:3128/",
    "no_proxy": b"example.org:81, .example.com,10.0.0.0/8 [::1]:81 *",
    "network": b"2001:db8::/33",
    "address_mapped": b"::ffff:192.0.2.1",
    "address_gap": b"1::4:0:0:7",
    "bad_zone": b"ws://[fe80::1%25eth0]/",
    "bad_user": b"ws://user:word@example.org/",
    "bad_port": b"ws://a:65536/",
    "bad_host": b"ws://a}b++/",
    "bad_address": b"1:::2",
    "bad_percent": b"http://a%4@b",
}

REQUEST_HEADERS = {
    "cookies": b'a=1; b="2"; c\nd=x=y;; =e;\tf = g',
    "cookie_prefix": b"__Host-id=31d4d96e407aad42",
    "origin": b"http://example.org",
    "origin_other": b"https://app.example:8443",
    "origin_below": b"https://*.example.org",
    "origin_null": b"null",
    "forwarded": b'for="[2001:db9::1]:4711";host="a,b;c";proto=https, for=10.0.0.2\nfor=_hidden',
    "forwarded_escape": b'for=192.0.2.1;host="a\\"b, for=10.0.0.2"',
    "forwarded_open": b'for="192.0.2.1, for=10.0.0.2',
    "addresses": b"203.0.113.7, 192.0.2.1:80, 10.0.0.2",
    "addresses_v6": b"[2001:db9::1]:80, ::1",
    "addresses_unknown": b"unknown, 10.0.0.2",
}

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([192, 0, 2, 1, 192, 0, 2, 2, 0xDC, 4, 1, 0xBB])
PROXIES = {
    "v1": b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET / HTTP/1.1\r\n",
    "v1_v6": b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n",
    "v1_unknown": b"PROXY UNKNOWN and whatever\r\n",
    "v1_long": b"PROXY UNKNOWN " + b"x" * 100,
    "v2": SIGNATURE + b"\x21\x11\0\x0c" + V4 + b"GET",
    "v2_tlv": SIGNATURE + b"\x21\x11\0\x11" + V4 + b"\x04\0\2xx",
    "v2_v6": SIGNATURE + b"\x21\x21\0\x24" + b"\x20\x01" + bytes(30) + b"\0\1\0\2",
    "v2_unix": SIGNATURE + b"\x21\x31\0\xd8" + b"/run/x".ljust(216, b"\0"),
    "v2_local": SIGNATURE + b"\x20\0\0\0",
    "v2_short": SIGNATURE + b"\x21\x11\0\x0b" + V4[1:],
    "v2_long": SIGNATURE + b"\x21\x11\xff\xff" + V4,
    "v2_bad_version": SIGNATURE + b"\x11\x11\0\x0c" + V4,
    "answer": b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 101",
    "answer_1_0": b"HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
    "answer_interim": b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "answer_407": b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n\r\n",
    "answer_bad": b"HTTP/1.1 2x0\r\n\r\n",
    "answer_lf": b"HTTP/1.1 200 OK\n\n",
}


def deflated(*parts, bits=-15):
    """Messages of one stream, as RFC 7692 section 7.2.1 makes their payloads."""
    stream = zlib.compressobj(9, zlib.DEFLATED, bits)
    made = [stream.compress(part) + stream.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    return [each.removesuffix(b"\0\0\xff\xff") for each in made]


def compressed():
    """Inputs of the target `inflate`: a byte that sets up the session, and frames."""
    def f(payload, opcode=TEXT, fin=True, rsv=4, key=KEY):
        return frame(opcode, payload, fin=fin, rsv=rsv, key=key)

    words = b" ".join(b"word %d" % (i * i % 997) for i in range(400))
    hello = deflated(b"Hello")[0]
    both = deflated(b"Hello", b"Hello, and Hello")
    final = bytes.fromhex("f348cdc9c9070000")
    streams = {
        "hello": f(hello),
        "words": f(deflated(words)[0]),
        "words_small_window": f(deflated(words, bits=-9)[0]),
        "two": f(both[0]) + f(both[1]),
        "plain_between": f(both[0]) + f(b"plain", rsv=0) + f(both[1], BINARY),
        "empty": f(b"\0") + f(b"") + f(hello),
        "final": f(final) + f(final[:-1]) + f(hello),
        "final_in_the_midst": f(final[:-1] + hello),
        "stored": f(bytes.fromhex("000500faff") + b"Hello" + b"\0"),
        "fragments": f(hello[:3], fin=False) + frame(PING, b"?", key=KEY)
        + f(hello[3:], CONTINUATION, rsv=0),
        "zeros": f(deflated(bytes(90_000))[0], BINARY),
        "bomb": f(deflated(bytes(1_000_000))[0], BINARY),
        "bad_utf8": f(deflated(b"abc\xff")[0]),
        "bad_block": f(b"\x06"),
        "bad_distance": f(bytes.fromhex("f200110000")),
        "bad_end": f(deflated(words)[0][:50]),
        "bad_rsv1": f(b"Hel", rsv=0, fin=False) + f(b"lo", CONTINUATION),
        "bad_rsv2": f(hello, rsv=2),
    }
    inputs = {}
    for name, content in streams.items():
        for setup in (0x20, 0x22, 0x2A, 0xB8):  # an echo without takeover, with; pieces; a small limit
            inputs[f"{name}_{setup:02x}"] = bytes([setup]) + content
    inputs["client"] = bytes([0x21]) + f(hello, key=None) + f(deflated(words)[0], key=None)
    inputs["client_with_takeover"] = bytes([0x23]) + f(both[0], key=None) + f(both[1], key=None)
    inputs["window_of_8_bits"] = bytes([0x24]) + f(hello) + f(deflated(words)[0])
    return inputs


EXTENSIONS = {
    "bare": b"permessage-deflate",
    "chromium": b"permessage-deflate; client_max_window_bits",
    "all": b"permessage-deflate; server_no_context_takeover; client_no_context_takeover;"
    b" server_max_window_bits=9; client_max_window_bits=10",
    "bits_8": b"permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
    "quoted": b'permessage-deflate; server_max_window_bits="1\\0"',
    "several": b"x; y=z, permessage-deflate; server_max_window_bits=99, permessage-deflate",
    "twice": b"permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "malformed": b"permessage-deflate; ; =, ,",
}


# What fuzz_tls does with its input: acts, and what they need.
def at(number):
    return number.to_bytes(2, "big")


RUN = bytes([0])
HEAR = bytes([6])
CLOSE_NOTIFY, KEY_UPDATE, FIN, RST = (bytes([act]) for act in (8, 9, 10, 11))
PAUSE, RESUME, SHUT_DOWN = bytes([14, 1]), bytes([14, 0]), bytes([15])
GO, ABORT = bytes([16, 0]), bytes([16, 1])


def arrive(size):
    return bytes([1]) + at(size)


def change(where, bits=0xFF):
    return bytes([2]) + at(where) + bytes([bits])


def lose(where, size):
    return bytes([3]) + at(where) + bytes([size])


def repeat(where, size):
    return bytes([4]) + at(where) + bytes([size])


def wire(content):
    return bytes([5, len(content)]) + content


def peer_says(size, record=255):
    return bytes([7]) + at(size) + bytes([record])


def room(size):
    return bytes([12]) + at(size)


def says(size, letter=0):
    return bytes([13]) + at(size) + bytes([letter])


def tls():
    alert = bytes.fromhex("15030300020228")
    extensions = bytes.fromhex("000d000400020403" "000a00040002001d" "000b00020100" "002b0003020303")
    hello = b"\3\3" + bytes(32) + bytes.fromhex("00" "0002c02b" "0100") + at(len(extensions)) + extensions
    client_hello = b"\1\0" + at(len(hello)) + hello
    client_hello = bytes.fromhex("160301") + at(len(client_hello)) + client_hello
    secured = {
        "echo": peer_says(3000) + RUN + peer_says(10, 0) + RUN,
        "close_notify": peer_says(5) + CLOSE_NOTIFY + RUN + FIN,
        "truncated": peer_says(5) + RUN + FIN,
        "reset": peer_says(5) + RUN + RST,
        "changed": peer_says(500, 1) + change(200) + RUN + peer_says(5) + RUN,
        "changed_header": peer_says(50) + change(1) + RUN + says(10) + RUN,
        "lost": peer_says(500, 1) + lose(70, 9) + RUN + FIN,
        "repeated": peer_says(50) + repeat(0, 72) + RUN,
        "foreign": peer_says(50) + wire(b"GET / HTTP/1.1\r\n\r\n") + RUN,
        "alert": wire(alert) + RUN + says(5) + RUN,
        "key_update": KEY_UPDATE + peer_says(5) + RUN + says(5) + RUN,
        "paused": PAUSE + peer_says(50) + RUN + says(50) + RESUME + RUN,
        "paused_and_failed": PAUSE + peer_says(50) + change(9) + RUN + RESUME + RUN,
        "no_room": room(0) + says(40_000) + room(100) + HEAR + room(60_000) + RUN,
        "no_room_to_answer": room(0) + peer_says(500, 1) + RUN,
        "no_room_closed": room(0) + says(40_000) + GO + room(60_000) + HEAR,
        "shut_down": says(5) + SHUT_DOWN + RUN + CLOSE_NOTIFY + RUN + FIN,
        "cut_short_and_reset": room(0) + says(5) + FIN + RST,
        "aborted": peer_says(5) + says(5) + ABORT + RUN,
    }
    inputs = {}
    for name, script in secured.items():
        for setup in (0x18, 0x19, 0x1E, 0x3B):
            inputs[f"{name}_{setup:02x}"] = bytes([setup]) + script
    for setup in (0x00, 0x01, 0x06, 0x03):
        inputs[f"handshake_{setup:02x}"] = bytes([setup]) + HEAR + arrive(100) + HEAR + RUN + says(9)
        inputs[f"handshake_changed_{setup:02x}"] = bytes([setup]) + HEAR + change(60) + RUN
        inputs[f"handshake_cut_{setup:02x}"] = bytes([setup]) + HEAR + arrive(80) + FIN
    inputs["hello"] = bytes([0x00]) + wire(client_hello) + RUN + FIN
    inputs["http"] = bytes([0x00]) + wire(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") + RUN
    inputs["garbage"] = bytes([0x01]) + wire(b"\0\1\2\3\4\5\6\7") + RUN
    return inputs


def write(target, seeds):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (folder / name).write_bytes(content)
    print(f"{target}: {len(seeds)}")


def main():
    write("server_handshake", REQUESTS)
    write("client_handshake", RESPONSES)
    frames = {f"server_{name}": b"s" + content for name, content in streams(KEY).items()}
    frames |= {f"client_{name}": b"c" + content for name, content in streams(None).items()}
    frames |= {
        f"streaming_{name}": b"S" + content
        for name, content in streams(KEY).items()
        if name.startswith(("text", "frag", "bad_utf8", "binary", "close_1000"))
    }
    write("frames", frames)
    write("session", SESSIONS)
    write("utf8", TEXTS)
    write("drafts", drafts())
    write("urls", URLS)
    write("request_headers", REQUEST_HEADERS)
    write("proxies", PROXIES)
    write("inflate", compressed())
    write("tls", tls())
    write("negotiation", {f"{name}_{options:02x}": bytes([options]) + value
                          for name, value in EXTENSIONS.items() for options in (0x7F, 0xFF, 0x49)})


if __name__ == "__main__":
    main()
