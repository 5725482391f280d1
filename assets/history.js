// What a tag pointed to before, from the log of moves that is published with the site; read when somebody asks.
const section = document.querySelector("[data-log]");
const { log, name, tag, elements } = section.dataset;
const { make, json } = await import(elements);
const TILE = 256; // moves in a file

// The tag's moves, newest first.
const moves = async () => {
  const head = new URL(log, location);
  const { size } = await json(head);
  const numbers = [...Array(Math.ceil(size / TILE)).keys()];
  const files = await Promise.all(numbers.map((number) => json(new URL(`api/moves/${number}.json`, head))));
  return files.flat().slice(0, size).filter((move) => move[1] === name && move[2] === tag).reverse();
};

const line = ([time, , , before, after]) => {
  const what = !before ? "Appeared" : after ? "Moved from " : "Removed, was ";
  const day = make("time", { datetime: time }, time.slice(0, 10));
  return make("li", {}, what, ...before ? [make("code", {}, before)] : [], " on ", day);
};

const told = () => moves().then(
  (found) => found.length ? make("ul", { class: "changes" }, ...found.map(line)) : make("p", {}, "It has not moved since the log began."),
  () => make("p", {}, "This host has no log of tag moves."),
);

const button = make("button", { type: "button" }, "Show earlier digests");
const place = make("div", { role: "status" }, button);
button.addEventListener("click", async () => {
  button.disabled = true;
  place.replaceChildren(await told());
});
section.append(place);
section.hidden = false;
