// What the scripts of a page share: elements, words and JSON. Text is only ever put in as text.
export const make = (tag, attributes = {}, ...content) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
};

export const filesize = (bytes) => {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let n = 0;
  for (; bytes >= 999.95 && n < 4; n += 1) bytes /= 1000;
  return n ? `${bytes.toFixed(1).replace(/\.0$/, "")} ${units[n]}` : bytes === 1 ? "1 byte" : `${bytes} bytes`;
};
export const count = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
export const json = async (url) => {
  const answer = await fetch(url).catch(() => undefined);
  if (!answer?.ok) throw new Error(`${new URL(url, location).pathname} cannot be fetched.`);
  return answer.json();
};

// A name with the characters told that would not be seen, or would turn what follows around.
export const visible = (name) => name.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
  (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
