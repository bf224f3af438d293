// The list of episodes: filtered by the server, drawn here, and walked through with n and p.

class EpisodeList {
  constructor(place, open) {
    this.place = place;
    this.rows = [];
    this.total = 0;
    this.name = "";
    this.selected = null;
    this.buttons = new Map();
    this.asked = 0;
    this.query = null;
    place.onclick = (event) => {
      const button = event.target.closest("button");
      if (button) open(button.dataset.id);
    };
  }

  // Newest state from the server; an answer that was overtaken is dropped.
  async refresh(filter) {
    const asked = ++this.asked, query = String(new URLSearchParams(filter));
    const answer = await ask(`/api/episodes?${query}`);
    if (asked !== this.asked) return null;
    this.rows = answer.episodes;
    this.total = answer.total;
    this.name = filter.annotator;
    this.draw();
    this.select(this.selected, query !== this.query);
    this.query = query;
    return answer;
  }

  draw() {  // the keyboard stays where it was
    const held = this.place.contains(document.activeElement) && document.activeElement.dataset.id;
    this.buttons = new Map(this.rows.map((row) => [row.id, this.button(row)]));
    this.place.replaceChildren(...this.buttons.values());
    if (held && this.buttons.has(held)) this.buttons.get(held).focus({ preventScroll: true });
  }

  select(id, scroll = true) {
    const before = this.buttons.get(this.selected), now = this.buttons.get(id);
    if (before) { before.className = ""; before.removeAttribute("aria-current"); }
    this.selected = id;
    if (!now) return;
    now.className = "here";
    now.setAttribute("aria-current", "true");
    if (scroll) now.scrollIntoView({ block: "nearest" });
  }

  markUnsaved(ids) {
    for (const button of this.place.querySelectorAll("[data-unsaved]")) delete button.dataset.unsaved;
    for (const id of ids) {
      const button = this.buttons.get(id);
      if (button) button.dataset.unsaved = "";
    }
  }

  // The listed episode before (-1) or after (1) the selected one, which itself need not be listed.
  neighbour(offset) {
    const here = this.rows.findIndex((row) => row.id === this.selected);
    if (here >= 0) return this.rows[here + offset] || null;
    const past = this.selected === null ? 0 : this.rows.findIndex((row) => row.id > this.selected);
    const after = past < 0 ? this.rows.length : past;
    return this.rows[offset > 0 ? after : after - 1] || null;
  }

  button(row) {
    const button = document.createElement("button");
    button.dataset.id = row.id;
    const about = document.createElement("small"), status = document.createElement("small");
    about.textContent = `${row.steps} steps, ${row.outcome}, ${row.policy || "no policy"}`;
    [status.textContent, status.className] = this.status(row);
    button.title = row.problem || "";
    button.append(row.id, about, status);
    return button;
  }

  status(row) {
    if (row.problem) return ["⚠ a label cannot be used", "needed"];
    if (row.mine && row.revisions === 1) return ["✓ labelled by you", "done"];
    const count = row.revisions === 1 ? "1 label" : `${row.revisions} labels`, last = row.annotator === this.name;
    const by = last ? "you" : `${row.annotator}${row.mine ? ", also by you" : ""}`;
    if (row.revisions) return [`${count}, last by ${by}`, "done"];
    return row.needs_label ? ["needs a label", "needed"] : ["not labelled", ""];
  }
}
