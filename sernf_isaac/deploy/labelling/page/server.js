"use strict";
// Asking the server. Everything that goes wrong becomes one sentence for people.

const token = new URLSearchParams(location.search).get("token") || "";

class ServerError extends Error {
  constructor(message, status, detail) {
    super(message);
    this.status = status;  // of HTTP; 0 if there was no answer
    this.detail = detail;  // as the server said it
  }
}

async function ask(path, { body, signal } = {}) {
  const options = { headers: { "X-Token": token }, signal };
  if (body) {
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    options.headers["Content-Type"] = "application/json";
  }
  let response, text;
  try {
    response = await fetch(path, options);
    text = await response.text();
  } catch {
    throw new ServerError("label.py does not answer; is it still running?", 0, null);
  }
  const answer = parsed(text);
  if (response.ok && answer !== undefined) return answer;
  const detail = answer === undefined ? undefined : answer.detail;
  throw new ServerError(sentence(response.status, detail), response.status, detail);
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

function sentence(status, detail) {
  if (status === 401) return "label.py was started anew; open the address it printed in this tab";
  if (typeof detail === "string") return detail;
  return detail && detail.message || `label.py failed (${status}); it printed why`;
}
