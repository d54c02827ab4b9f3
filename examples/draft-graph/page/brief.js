// The form: what a brief has to be, and the error beside it.

import { EXAMPLES } from "./examples.js";

/** As characters are counted by the server: code points, not code units. */
const lengthOf = (text) => [...text].length;

export class Brief {
  #field;
  #error;
  #count;
  /** The server says what holds; these are its defaults. */
  limits = { min: 30, max: 5000 };

  constructor({ field, error, count, examples }) {
    this.#field = field;
    this.#error = error;
    this.#count = count;
    field.addEventListener("input", () => {
      this.#tell();
      if (field.getAttribute("aria-invalid") === "true") this.check();
    });
    for (const [name, brief] of EXAMPLES) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        this.value = brief;
        field.focus();
      });
      examples.append(button);
    }
    this.#tell();
  }

  get value() {
    return this.#field.value;
  }

  set value(text) {
    this.#field.value = text;
    this.#tell();
    this.#show("");
  }

  /** Whether it will do. If not, says so beside the field. */
  check() {
    const { min, max } = this.limits;
    const length = lengthOf(this.value);
    let error = "";
    if (this.value.trim() === "") error = "Say what is to be decided, or take one of the examples.";
    else if (length < min) error = `That is too short to draft from: ${min - length} more ${min - length === 1 ? "character" : "characters"}, please.`;
    else if (length > max) error = `That is too long: ${(length - max).toLocaleString("en")} characters over ${max.toLocaleString("en")}.`;
    this.#show(error);
    return error === "";
  }

  focus() {
    this.#field.focus();
  }

  #tell() {
    const { min, max } = this.limits;
    const length = lengthOf(this.value);
    this.#count.textContent = `${length.toLocaleString("en")} of ${min} to ${max.toLocaleString("en")} characters`;
  }

  #show(error) {
    this.#error.textContent = error;
    this.#field.setAttribute("aria-invalid", error === "" ? "false" : "true");
  }
}
