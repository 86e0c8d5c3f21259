// Passkeys, for the forms that ask for one: the form says which and for what, this file asks the browser and puts its answer into
// the form. A form with a passkey is hidden without this file; there is always a way without.
"use strict";
(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => list.map((credential) => ({ ...credential, id: bytes(credential.id) }));

  const read = (form) => {
    const options = JSON.parse(form.dataset.options);
    options.challenge = bytes(options.challenge);
    if (options.user) options.user.id = bytes(options.user.id);
    if (options.allowCredentials) options.allowCredentials = named(options.allowCredentials);
    if (options.excludeCredentials) options.excludeCredentials = named(options.excludeCredentials);
    return options;
  };

  const write = (credential) => {
    const response = {};
    for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[part]) response[part] = text(credential.response[part]);
    }
    return JSON.stringify({ id: credential.id, type: credential.type, response });
  };

  const ask = async (form, button) => {
    const said = form.querySelector("[data-said]");
    if (said) said.textContent = "";
    try {
      const publicKey = read(form);
      const credential =
        form.dataset.passkey === "create" ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
      form.elements.answer.value = write(credential);
      // A form that is sent from here does not say which button was pressed.
      if (button && button.name) {
        const pressed = Object.assign(document.createElement("input"), { type: "hidden", name: button.name, value: button.value });
        form.append(pressed);
      }
      form.submit();
    } catch (error) {
      if (said) said.textContent = `No passkey was used (${error.name}). Try again, or use another way.`;
    }
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      if (event.submitter && "plain" in event.submitter.dataset) return;
      event.preventDefault();
      void ask(form, event.submitter);
    });
  }
})();
