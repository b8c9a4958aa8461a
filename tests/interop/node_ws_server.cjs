// Node's `ws` library as a server for clients of ours. It prints its port, and ends with its input.
// The path of a connection says what the server does with it.
// usage: NODE_PATH=/usr/share/nodejs node node_ws_server.cjs
"use strict";
const { WebSocketServer } = require("ws");

const roles = {
  "/echo": socket => {
    socket.on("message", (data, is_binary) => socket.send(data, { binary: is_binary }));
  },
  // Says what was agreed on, and then echoes.
  "/extensions": (socket, request) => {
    const offer = request.headers["sec-websocket-extensions"];
    socket.send(`${offer ? "offered" : "not offered"}, ${socket.extensions || "none"}`);
    roles["/echo"](socket);
  },
  // Says what the Pong was that answers its Ping.
  "/ping": socket => {
    socket.on("pong", data => {
      console.log(`answered ${data}`);
      socket.close(1000);
    });
    socket.ping("0 and some more");
  },
  "/binary": socket => {
    socket.send(Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    socket.send(Buffer.alloc(0));
    socket.send(Buffer.alloc(1 << 20, "x"));
    socket.close(1000);
  },
  "/fragments": socket => {
    for (const part of ["one ", "m\u00e4ssage", "", " in"]) {
      socket.send(part, { fin: false });
      socket.ping("between");
    }
    socket.send(" five", { fin: true });
    socket.close(1000);
  },
  "/terminate": socket => socket.terminate(),
};

const server = new WebSocketServer({
  host: "127.0.0.1", port: 0, maxPayload: 1 << 26, perMessageDeflate: true,
});
server.on("connection", (socket, request) => {
  const close = /^\/close\/(\d+)\/(.*)$/.exec(request.url);
  if (close) socket.close(Number(close[1]), decodeURIComponent(close[2]));
  else roles[request.url](socket, request);
});
server.on("listening", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
