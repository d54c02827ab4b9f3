// The SDK's own chat, without a framework around it.
import { AbstractChat, DefaultChatTransport } from "ai";

class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => { this.messages = [...this.messages, message]; };
  popMessage = () => { this.messages = this.messages.slice(0, -1); };
  replaceMessage = (index, message) => { this.messages = this.messages.with(index, message); };
  snapshot = (thing) => structuredClone(thing);
}

/** A chat that talks to `base`. It notes the id of the stream that it reads. */
export class Chat extends AbstractChat {
  streamId = null;

  constructor(id, base, messages = []) {
    const state = new State();
    state.messages = messages;
    const fetched = async (...args) => {
      const response = await fetch(...args);
      this.streamId = response.headers.get("x-resume-stream");
      return response;
    };
    super({ id, state, transport: new DefaultChatTransport({ api: `${base}/api/chat`, fetch: fetched }) });
  }

  /** What the assistant has said last. */
  get answer() {
    const last = this.messages.at(-1);
    return last?.role === "assistant" ? textOf(last) : "";
  }
}

export const textOf = (message) => message.parts.filter((part) => part.type === "text").map((part) => part.text).join("");

/** What a node keeps of a chat. */
export async function history(base, id) {
  const response = await fetch(`${base}/api/chat/${encodeURIComponent(id)}`);
  return response.json();
}

/** What has been said in the last answer, once it is over: then it is history. */
export async function kept(base, id) {
  let last;
  await until("the answer is history", async () => (last = (await history(base, id)).at(-1))?.role === "assistant");
  return textOf(last);
}

/** Ready when it holds. It is a state that is waited for, and a generous bound on how long. */
export async function until(what, holds) {
  const deadline = Date.now() + 120_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((ready) => setTimeout(ready, 5));
  }
}
