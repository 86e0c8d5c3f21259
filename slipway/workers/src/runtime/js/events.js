// Hands events to the Workers beside it: `POST /{unit}` with the event as JSON; the answer is what became of it.
const bytes = (text) => Uint8Array.fromHex(text);

const contents = {
  text: (body) => ({ body: new TextDecoder().decode(body) }),
  json: (body) => ({ body: JSON.parse(new TextDecoder().decode(body)) }),
  bytes: (body) => ({ body }),
  v8: (body) => ({ serializedBody: body }),
};

export default {
  async fetch(request, env) {
    const unit = env[new URL(request.url).pathname.slice(1)];
    const event = await request.json();
    let handled;
    if (event.cron !== undefined) {
      handled = await unit.scheduled({ cron: event.cron, scheduledTime: new Date(event.at) });
    } else {
      const messages = event.messages.map(({ id, at, attempts, content, body }) => ({
        id, timestamp: new Date(at), attempts, ...contents[content](bytes(body)),
      }));
      const metrics = { backlogCount: event.count, backlogBytes: event.bytes };
      if (event.oldest !== null) metrics.oldestMessageTimestamp = new Date(event.oldest);
      handled = await unit.queue(event.queue, messages, { metrics });
    }
    return Response.json(handled);
  },
};
