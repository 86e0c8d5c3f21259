// Collects what other Workers did, and hands it to the host as JSON. What is read here are accessors: spreading would lose them.
const event = (e) => {
  if (!e) return null;
  if (e.request) {
    const { url, method, headers, cf } = e.request;
    return { request: { url, method, headers, cf }, ...(e.response ? { response: { status: e.response.status } } : {}) };
  }
  if (e.cron !== undefined) return { cron: e.cron, scheduledTime: e.scheduledTime };
  if (e.queue !== undefined) return { queue: e.queue, batchSize: e.batchSize };
  if (e.rpcMethod !== undefined) return { rpcMethod: e.rpcMethod };
  if (e.scheduledTime !== undefined) return { scheduledTime: e.scheduledTime };
  return {};
};

const item = (i) => ({
  outcome: i.outcome,
  eventTimestamp: i.eventTimestamp,
  entrypoint: i.entrypoint,
  event: event(i.event),
  logs: i.logs.map(({ level, message, timestamp }) => ({ level, message, timestamp })),
  exceptions: i.exceptions.map(({ name, message, stack, timestamp }) => ({ name, message, stack, timestamp })),
  diagnosticsChannelEvents: [],
  truncated: i.truncated,
});

export default {
  async tail(items, env) {
    await env.HOST.fetch("http://tail/", { method: "POST", body: JSON.stringify(items.map(item)) });
  },
};
