// The smallest page with `useChat({ resume: true })`. The chat's id is the path, so that a reload finds it again.
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { useRef, useState } from "react";
import { createRoot } from "react-dom/client";

const id = decodeURIComponent(location.pathname.slice(1));
const api = "/api/chat";
const chatUrl = `${api}/${encodeURIComponent(id)}`;

function Page({ initial }) {
  const streamId = useRef(null);
  const [transport] = useState(() => new DefaultChatTransport({
    api,
    fetch: async (...args) => {
      const response = await fetch(...args);
      streamId.current = response.headers.get("x-resume-stream");
      return response;
    },
  }));
  const chat = useChat({ id, messages: initial, resume: true, transport });
  // `chat.stop()` only leaves. The answer itself is stopped by the server, unless it is another one by now.
  const stop = async () => {
    const body = JSON.stringify({ streamId: streamId.current });
    await fetch(`${chatUrl}/stop`, { method: "POST", headers: { "content-type": "application/json" }, body });
    await chat.stop();
  };
  return (
    <main>
      <p id="status">{chat.status}</p>
      <p id="error">{chat.error?.message}</p>
      <ol>
        {chat.messages.map((message) => (
          <li key={message.id} className={message.role}>
            {message.parts.map((part) => (part.type === "text" ? part.text : "")).join("")}
          </li>
        ))}
      </ol>
      <button id="ask" onClick={() => chat.sendMessage({ text: "Why do streams break?" })}>Ask</button>
      <button id="stop" onClick={stop}>Stop</button>
      <button id="resume" onClick={() => chat.resumeStream()}>Try again</button>
    </main>
  );
}

const initial = await (await fetch(chatUrl)).json();
createRoot(document.getElementById("root")).render(<Page initial={initial} />);
