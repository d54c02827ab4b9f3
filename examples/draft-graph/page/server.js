// The server's paths, and the few questions that the page asks it beside the stream.

const STREAM = "/assist/draft-graph/stream";
const RESUME = "/assist/draft-graph/resume";
const WATCH = "/assist/draft-graph/watch";

const query = (values) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(given).toString();
};

export const streamUrl = (values) => `${STREAM}?${query(values)}`;
export const resumeUrl = (values) => `${RESUME}?${query(values)}`;
export const watchUrl = (values) => `${WATCH}?${query(values)}`;

/** What the server takes for a brief. `null` where it does not answer. */
export async function limits() {
  try {
    const answer = await fetch("/v1/limits");
    if (!answer.ok) return null;
    const { brief_min_chars: min, brief_max_chars: max } = await answer.json();
    return { min, max };
  } catch {
    return null;
  }
}

/** Has the server reset this viewer's connection, and every new one for `dark` milliseconds. */
export async function cut(viewer, token, dark = 0) {
  const url = `/page/cut?${query({ viewer, dark_ms: dark || undefined })}`;
  const answer = await fetch(url, { method: "POST", headers: { "X-Resume-Token": token } });
  return answer.ok;
}

/** Stops the draft itself: `ended`, `asked` or `refused`. */
export async function cancel(token) {
  const answer = await fetch(RESUME, { method: "DELETE", headers: { "X-Resume-Token": token } });
  return answer.status === 204 ? "ended" : answer.status === 202 ? "asked" : "refused";
}

/**
 * What has become of a stream: `{status: 200, …}` as the server tells it, `{status: 401, code}` where it refuses, or `null`
 * where nothing answers.
 */
export async function statusOf(token) {
  try {
    const answer = await fetch(`${RESUME}?mode=status`, { headers: { "X-Resume-Token": token }, cache: "no-store" });
    const body = await answer.json().catch(() => ({}));
    return { ...body, state: body.status, status: answer.status };
  } catch {
    return null;
  }
}
