// Keeps the page true without a reload: at every event the page is fetched again and its <main> brought up to it.
// Pages work without this file.
"use strict";

(function () {
  const live = document.getElementById("live");
  if (!live) return;

  // The server's clock is the one that counts; this browser's may be anywhere.
  let ahead = 0;
  function readServerTime() {
    const shown = document.getElementById("server-time");
    if (shown) ahead = Date.parse(shown.dateTime) - Date.now();
  }

  function span(milliseconds) {
    const total = Math.max(0, Math.round(milliseconds / 1000));
    const parts = [
      [Math.floor(total / 86400), "d"],
      [Math.floor(total / 3600) % 24, "h"],
      [Math.floor(total / 60) % 60, "m"],
      [total % 60, "s"],
    ];
    const first = parts.findIndex((part) => part[0] > 0);
    if (first < 0) return "0s";
    return parts
      .slice(first, first + 2)
      .filter((part) => part[0] > 0)
      .map((part) => part[0] + part[1])
      .join(" ");
  }

  function countDown() {
    const now = Date.now() + ahead;
    for (const element of document.querySelectorAll("time.countdown")) {
      element.textContent = span(Date.parse(element.dateTime) - now);
    }
  }

  function say(word, isLive) {
    live.hidden = false;
    live.classList.toggle("is-live", isLive);
    live.lastElementChild.textContent = word;
  }

  let timer = 0;
  let isFetching = false;
  let isDue = false;

  async function refresh() {
    if (isFetching) {
      isDue = true;
      return;
    }
    isFetching = true;
    isDue = false;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
      if (answer.type === "opaqueredirect") {
        // The token was taken back: the login page says so.
        location.reload();
        return;
      }
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      if (fresh) replace(fresh);
    } catch (error) {
      say("reconnecting", false);
    } finally {
      isFetching = false;
      if (isDue) schedule();
    }
  }

  function replace(fresh) {
    const main = document.getElementById("main");
    // What a person has opened or closed stays so.
    const known = new Map();
    for (const details of main.querySelectorAll("details[id]")) known.set(details.id, details.open);
    for (const details of fresh.querySelectorAll("details[id]")) {
      if (known.has(details.id)) details.open = known.get(details.id);
    }
    update(main, fresh);
    readServerTime();
    countDown();
  }

  // Changes what differs and nothing else: what a person has scrolled to, focused or marked stays, and a click that is
  // under way arrives.
  function update(old, fresh) {
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const name of old.getAttributeNames()) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const name of fresh.getAttributeNames()) {
      const value = fresh.getAttribute(name);
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const before = Array.from(old.childNodes);
    const after = Array.from(fresh.childNodes);
    after.forEach((child, place) => {
      if (place < before.length) update(before[place], child);
      else old.append(child);
    });
    for (const child of before.slice(after.length)) child.remove();
  }

  function schedule(delay = 500) {
    if (document.hidden) {
      isDue = true;
      return;
    }
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      refresh();
    }, delay);
  }

  readServerTime();
  setInterval(countDown, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isDue) schedule();
  });

  const events = new EventSource("/api/v1/events/stream");
  let wasLost = false;
  events.onopen = () => {
    say("live", true);
    // Whatever happened while the connection was away was not announced.
    if (wasLost) schedule();
    wasLost = false;
  };
  events.onerror = () => {
    wasLost = true;
    say("reconnecting", false);
  };
  events.addEventListener("event", () => schedule(500));
  // A curve grows many times a second; looking at it every other second is enough.
  events.addEventListener("change", () => schedule(2000));
})();
