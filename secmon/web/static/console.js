// Keyboard for the console. Every page works without it: all it does is move the focus, tick boxes and press
// buttons that are there anyway. No request is made from here.

const doc = document;
const one = (selector, root = doc) => root.querySelector(selector);
const all = (selector, root = doc) => [...root.querySelectorAll(selector)];

const PAGES = { h: "/", a: "/alerts", l: "/hunt", s: "/sources", v: "/coverage", d: "/deadletters", r: "/rules", t: "/attack", e: "/tuning", c: "/compliance", b: "/bulletins" };
const CHORD_MS = 1500;

doc.documentElement.classList.add("js");

const rows = all("[data-rows] > [data-row]");
const triage = one("[data-triage]");
const help = one("#help");
const reasons = one("#reasons");
let at = -1;
let chord = 0;

const target = (row) => one("[data-open]", row) ?? one("a, summary, input, button", row) ?? row;

function stand(index, { focus = true } = {}) {
  if (!rows.length) return;
  rows[at]?.classList.remove("current");
  at = Math.max(0, Math.min(rows.length - 1, index));
  rows[at].classList.add("current");
  if (focus) {
    target(rows[at]).focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  }
}

// The row that has the focus is the current one, however the focus came there.
rows.forEach((row, index) => row.addEventListener("focusin", () => stand(index, { focus: false })));

const boxes = () => all('tbody input[type="checkbox"][name="id"]');
const ticked = () => boxes().filter((box) => box.checked);

function count() {
  const number = ticked().length;
  const shown = one("[data-picked]");
  if (shown) shown.textContent = number ? `已勾选 ${number} 条` : "未勾选";
  const every = one("[data-all]");
  if (every) {
    every.checked = number > 0 && number === boxes().length;
    every.indeterminate = number > 0 && number < boxes().length;
  }
}

function tick() {
  const box = rows[at] && one('input[name="id"]', rows[at]);
  if (!box) return;
  box.checked = !box.checked;
  count();
}

// What an action is for: the ticked rows, else the current one; on an alert's own page, that alert.
function choose() {
  if (!triage) return 0;
  if (one('input[type="hidden"][name="id"]', triage)) return 1;
  if (!ticked().length) {
    const box = rows[at] && one('input[name="id"]', rows[at]);
    if (box) box.checked = true;
    count();
  }
  return ticked().length;
}

function press(action) {
  const button = triage && one(`button[name="action"][value="${action}"]`, triage);
  if (button && choose()) triage.requestSubmit(button);
}

function close() {
  if (!reasons || !triage || !one('button[value="close"]', triage)) return;
  const number = choose();
  if (!number) return;
  one("#reasons-count").textContent = number > 1 ? `共 ${number} 条告警，同一原因。` : "";
  reasons.showModal();
}

function settle(reason) {
  one('select[name="reason"]', triage).value = reason;
  reasons.close();
  press("close");
}

reasons?.addEventListener("click", (event) => {
  const button = event.target.closest(".reasons button");
  if (button) settle(button.value);
});

reasons?.addEventListener("keydown", (event) => {
  const button = all(".reasons button", reasons)[Number(event.key) - 1];
  if (button && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    settle(button.value);
  }
});

// A button that closes without a reason asks for it instead of sending the reader to an error page.
triage?.addEventListener("submit", (event) => {
  const select = one('select[name="reason"]', triage);
  if (event.submitter?.value === "close" && select && !select.value) {
    event.preventDefault();
    close();
  }
});

const COMMANDS = {
  j: () => stand(at + 1),
  k: () => stand(at < 0 ? 0 : at - 1),
  x: tick,
  a: () => press("ack"),
  i: () => press("investigate"),
  c: close,
  o: () => rows[at] && target(rows[at]).click(),
  u: () => doc.body.dataset.back && location.assign(back()),
  "/": () => one("[data-search]")?.focus(),
  "?": () => help?.showModal(),
};

// Back to the list as it was, with its filter, if we came from there.
function back() {
  const list = doc.body.dataset.back;
  const from = sessionStorage.getItem(`list:${list}`);
  return from?.startsWith(`${list}?`) ? from : list;
}

if (Object.values(PAGES).includes(location.pathname)) {
  sessionStorage.setItem(`list:${location.pathname}`, location.pathname + location.search);
}

const typing = (node) => node.closest?.("textarea, select, input:not([type=checkbox]), [contenteditable]");

doc.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (one("dialog[open]")) {
    if (event.key === "?" && help.open) {
      event.preventDefault();
      help.close();
    }
    return;
  }
  const now = event.timeStamp;
  if (now - chord < CHORD_MS && chord) {
    chord = 0;
    if (PAGES[event.key]) {
      event.preventDefault();
      location.assign(PAGES[event.key]);
    }
    return;
  }
  if (event.key === "g") {
    chord = now;
    return;
  }
  const command = COMMANDS[event.key];
  if (command) {
    event.preventDefault();
    command();
  }
});

doc.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) boxes().forEach((box) => (box.checked = event.target.checked));
  if (event.target.matches('input[type="checkbox"]')) count();
});

doc.addEventListener("click", (event) => {
  if (event.target.closest('[data-do="help"]')) help?.showModal();
});

// A printed alert or report shows what a reader would have to unfold.
addEventListener("beforeprint", () => all("main details").forEach((details) => (details.open = true)));

count();
