// ws on Node: ws.cjs --port PORT [--fanout]. Its optional native helpers, bufferutil and
// utf-8-validate, are used where they are installed; Debian has neither.
'use strict';
const { WebSocketServer } = require('ws');
const { parseArgs } = require('node:util');

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    quiet: { type: 'boolean' },
    fanout: { type: 'boolean' },
  },
});

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(options.port),
  backlog: 4096,
  perMessageDeflate: false,
  maxPayload: 16 * 1024 * 1024,
});

server.on('listening', () => {
  console.log(`ws listening on http://127.0.0.1:${server.address().port}/`);
});

server.on('connection', (peer) => {
  peer.on('error', () => {}); // it is closed as well, and others go on
  peer.on('message', (data, isBinary) => {
    for (const to of options.fanout ? server.clients : [peer]) to.send(data, { binary: isBinary });
  });
});
