// What the page has to know after a reload. It is this tab's own: a second tab has its own draft.

const KEY = "draft-graph page";

export function save(draft) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // Full, or forbidden: then a reload begins anew.
  }
}

export function saved() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
