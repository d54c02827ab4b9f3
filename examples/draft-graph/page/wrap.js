// Breaks labels into lines that fit, by measuring them in the font that they are going to be in.

const MOST_LINES = 5;
let pen;

/** `wrapper(font)` gives `(text, width) => lines`, with `…` where even the most lines would not hold it all. */
export function wrapper(font) {
  pen ??= document.createElement("canvas").getContext("2d");
  const widthOf = (text) => {
    pen.font = font;
    return pen.measureText(text).width;
  };
  return (text, width) => {
    const words = pieces(text, width, widthOf);
    const lines = fill(words, width, widthOf);
    if (lines.length <= MOST_LINES) return balanced(words, lines, width, widthOf);
    let last = lines[MOST_LINES - 1];
    while (last !== "" && widthOf(`${last}…`) > width) last = last.slice(0, -1);
    return [...lines.slice(0, MOST_LINES - 1), `${last.trimEnd()}…`];
  };
}

/** As many words in a line as there is room for. */
function fill(words, width, widthOf) {
  const lines = [];
  let line = "";
  for (const word of words) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (widthOf(longer) <= width || line === "") line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

/** As few lines, but of about one length: no word alone in the last. */
function balanced(words, lines, width, widthOf) {
  let best = lines;
  for (let narrower = width - 8; narrower > width / 2; narrower -= 8) {
    const tried = fill(words, narrower, widthOf);
    if (tried.length > lines.length || tried.some((line) => widthOf(line) > narrower)) break;
    best = tried;
  }
  return best;
}

/** Words; one that is wider than a line in parts. */
function pieces(text, width, widthOf) {
  return text.split(/\s+/u).flatMap((word) => {
    const parts = [];
    let part = "";
    for (const char of word) {
      if (part !== "" && widthOf(part + char) > width) {
        parts.push(part);
        part = "";
      }
      part += char;
    }
    return [...parts, part];
  });
}
