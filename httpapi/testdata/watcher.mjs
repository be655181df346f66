// A watcher that shares no code with tesd: Node's own WebSocket, or that of the package ws.
// It is given the base URL of a node, does what a dashboard does, and prints a line of JSON
// for each message and each end of a connection.
import { createRequire } from "node:module";

const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("ws");
const base = process.argv[2].replace("http", "ws") + "/version/ws";
const print = (line) => console.log(JSON.stringify(line));

function open(query, protocols) {
  const socket = protocols ? new WebSocket(base + query, protocols) : new WebSocket(base + query);
  const ended = new Promise((resolve) => {
    socket.onclose = (e) => resolve({ closed: e.code, reason: e.reason });
    socket.onerror = () => resolve({ failed: true }); // after which not every version says that it is closed
  });
  return { socket, ended };
}

// All there is, then answers to each kind of message, then what the own bump does.
{
  const { socket, ended } = open("?since=0", ["other", "tes-subproto-v1"]);
  socket.onopen = () => print({ protocol: socket.protocol });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    print(message);
    if (message.type === "hello") {
      socket.send(JSON.stringify({ type: "ping" }));
    } else if (message.type === "pong") {
      socket.send(JSON.stringify({ type: "refresh" }));
    } else if (message.type === "refresh_response") {
      socket.send("{}");
    } else if (message.type === "error") {
      socket.send(JSON.stringify({ type: "bump", scope: "minor", entityId: "global:main", cascade: false, requestId: "é" }));
    } else if (message.type === "event" && message.revision === 3) {
      socket.send(new Uint8Array([1, 2, 3]));
    }
  };
  print(await ended);
}

// What must not be opened.
for (const protocols of [undefined, ["other"]]) {
  print(await open("", protocols).ended);
}

// A goodbye of the watcher's own.
{
  const { socket, ended } = open("", "tes-subproto-v1");
  socket.onmessage = () => socket.close(1000, "enough");
  print(await ended);
}
