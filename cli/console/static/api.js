// The API, through the console's own server: answers, or a Problem in words.

/** What came instead of an answer: `detail`, `reasons`, `request_id`, as the API says them (RFC 9457). */
export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title || "Something went wrong.");
    this.document = document;
  }
}

const send = async (method, path, asked) => (await exchange(method, path, asked))[0];

/** The answer, and the tag of its version where it has one. */
async function exchange(method, path, { query, body, headers } = {}) {
  const named = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined);
  const search = named.length ? `?${new URLSearchParams(named)}` : "";
  const options = { method, headers: { ...headers }, cache: "no-store", redirect: "error" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(`api/${path}${search}`, options);
  } catch {
    throw new Problem({ detail: "The console itself does not answer: is `keyturn console` still running?", status: 0 });
  }
  const shape = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Problem({ status: answer.status, request_id: answer.headers.get("x-request-id"), ...shape });
  }
  return [shape, answer.headers.get("etag")];
}

const path = (parts) => ["v1", ...parts.map(encodeURIComponent)].join("/");

export const get = (...parts) => send("GET", path(parts));
export const read = (parts, query) => send("GET", path(parts), { query });
export const post = (parts, body, { query, once } = {}) =>
  send("POST", path(parts), { query, body, headers: once ? { "Idempotency-Key": once } : {} });
/** Read something with the tag of its version: [shape, tag]. */
export const tagged = (...parts) => exchange("GET", path(parts));
/** Change something, unless it has another version by now. */
export const patch = (parts, body, tag) => send("PATCH", path(parts), { body, headers: tag ? { "If-Match": tag } : {} });
export const remove = (...parts) => send("DELETE", path(parts));
export const clock = () => send("GET", "sandbox/clock");
export const turn = (seconds) => send("POST", "sandbox/clock", { body: { advance_seconds: seconds } });
