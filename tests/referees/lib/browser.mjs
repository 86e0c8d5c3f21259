// A browser without JavaScript: cookies, redirects that are followed only within one origin, and forms.
export class Browser {
  constructor(origin) {
    this.origin = origin;
    this.cookies = new Map();
  }

  // Follows redirects within the origin; stops at a page, or at the first address elsewhere.
  async go(url, options = {}) {
    let next = { url: new URL(url, this.origin).href, ...options };
    if (new URL(next.url).origin !== this.origin) return { url: next.url, status: 200, away: new URL(next.url) };
    for (let hop = 0; hop < 20; hop += 1) {
      const response = await fetch(next.url, {
        method: next.method ?? 'GET',
        redirect: 'manual',
        body: next.body,
        headers: { ...next.headers, cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      });
      for (const line of response.headers.getSetCookie()) this.keep(line);
      const location = response.headers.get('location');
      if (!location || response.status < 300 || response.status > 399) return { url: next.url, status: response.status, body: await response.text(), headers: response.headers };
      await response.arrayBuffer();
      const target = new URL(location, next.url);
      if (target.origin !== this.origin) return { url: target.href, status: response.status, away: target, headers: response.headers };
      next = { url: target.href };
    }
    throw new Error(`too many redirects at ${next.url}`);
  }

  keep(line) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const gone = attributes.some((it) => /^max-age=0$/i.test(it) || (/^expires=/i.test(it) && Date.parse(it.slice(8)) < Date.now()));
    if (gone) this.cookies.delete(pair.slice(0, at));
    else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }

  submit(page, form, { button, ...fields } = {}) {
    const values = new URLSearchParams(form.fields.filter(([name]) => !(name in fields)));
    for (const [name, value] of Object.entries(fields)) values.append(name, value);
    if (button) values.append(button.name, button.value);
    const action = new URL(form.action || page.url, page.url).href;
    if (form.method === 'get') return this.go(`${action}?${values}`);
    const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: this.origin, 'sec-fetch-site': 'same-origin' };
    return this.go(action, { method: 'POST', body: values.toString(), headers });
  }
}

// The forms of a page, as a browser would send them: hidden, text, ticked and selected fields; buttons apart.
export function forms(html) {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head, inner]) => {
    const fields = [];
    for (const [tag] of inner.matchAll(/<input\b[^>]*>/gi)) {
      const { name, type = 'text', value = '' } = attributes(tag);
      if (!name || type === 'submit') continue;
      if ((type === 'checkbox' || type === 'radio') && !/\schecked\b/i.test(tag)) continue;
      fields.push([name, type === 'checkbox' && !/\svalue=/i.test(tag) ? 'on' : value]);
    }
    for (const [, head2, options] of inner.matchAll(/<select\b([^>]*)>([\s\S]*?)<\/select>/gi)) {
      const chosen = options.match(/<option\b[^>]*\sselected[^>]*>/i) ?? options.match(/<option\b[^>]*>/i);
      if (chosen) fields.push([attributes(head2).name, attributes(chosen[0]).value ?? '']);
    }
    for (const [, head3, text] of inner.matchAll(/<textarea\b([^>]*)>([\s\S]*?)<\/textarea>/gi)) fields.push([attributes(head3).name, decode(text)]);
    const buttons = [...inner.matchAll(/<button\b([^>]*)>/gi)].map(([, it]) => attributes(it)).filter((it) => it.name);
    const { action = '', method = 'get' } = attributes(head);
    return { action, method: method.toLowerCase(), fields, buttons, inputs: [...inner.matchAll(/<input\b[^>]*>/gi)].map(([it]) => attributes(it)) };
  });
}

function attributes(text) {
  const found = {};
  for (const [, name, , quoted, single, bare] of text.matchAll(/([a-zA-Z-]+)\s*=\s*("([^"]*)"|'([^']*)'|([^\s>]+))/g)) found[name.toLowerCase()] = decode(quoted ?? single ?? bare);
  return found;
}

export const decode = (text) => text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&#x27;', "'").replaceAll('&#34;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&').replaceAll('&#38;', '&');
