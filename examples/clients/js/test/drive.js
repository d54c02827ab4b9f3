// One run of the shared scenarios, as its plan says. The same in Node and in a page: it has nothing but the client.
import { resumable } from "../resumable.js";

/** Does what a plan asks, and says what was seen. `taken` counts over reloads. */
export async function drive(plan, control, { storage, taken = 0 }) {
  const { request, options, actions, run } = plan;
  const stream = resumable(request.url, {
    method: request.method,
    headers: request.headers,
    body: request.body,
    resumeUrl: options.resume_url,
    idleTimeout: options.idle_timeout_ms,
    // Chromium discards what is under way when a connection breaks, so losses without an event come in long rows.
    retry: { base: options.retry_base_ms, max: options.retry_max_ms ?? 1000, attempts: options.max_attempts },
    maxEventBytes: options.max_event_bytes,
    idempotencyKey: options.idempotency_key,
    restart: options.restart,
    from: options.from,
    controlEvent: options.control_event,
    storage,
    storageKey: run,
  });
  const seen = [];
  const report = (reload = false) => ({ seen, taken, reload, state: stream.state, stats: stream.stats });
  try {
    for await (const event of stream) {
      seen.push(shown(event));
      if (event.type !== "event") continue;
      taken += 1;
      for (const action of actions.filter(({ after }) => after === taken)) {
        switch (action.do) {
          case "reload":
            return report(true);
          case "close":
            stream.close();
            return report();
          case "disconnect":
            stream.disconnect();
            break;
          case "cancel":
            await stream.cancel();
            break;
          case "slow":
            await fetch(`${control}/runs/${run}/slow`);
            break;
          default:
            throw new Error(`an action that is not known: ${action.do}`);
        }
      }
    }
  } catch (error) {
    if (!error.code) throw error;
    seen.push({ type: "error", code: error.code, status: error.status });
  }
  return report();
}

function shown({ type, seq, event, data, from, to, reason, status }) {
  switch (type) {
    case "event":
      return { type, seq, event, data };
    case "gap":
      return { type, from, to, reason };
    case "snapshot":
      return { type, seq, status, event, data };
    case "end":
      return { type, status, seq };
    default:
      return { type };
  }
}
