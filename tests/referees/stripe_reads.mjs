// The processor's own client: reads what the orchestrator created, and signs messages as the processor does.
//
// Environment: LOCALSTRIPE. `read CAPTURE` prints the payment as the SDK sees it; `sign SECRET [SECONDS]` signs the message on stdin.
import Stripe from 'stripe';

const upstream = new URL(process.env.LOCALSTRIPE);
const stripe = new Stripe('sk_test_purser', { host: upstream.hostname, port: upstream.port, protocol: 'http', maxNetworkRetries: 0 });
const [what, ...rest] = process.argv.slice(2);

if (what === 'read') {
  const intent = await stripe.paymentIntents.retrieve(rest[0]);
  const customer = await stripe.customers.retrieve(intent.customer);
  const method = await stripe.paymentMethods.retrieve(intent.payment_method);
  const refunds = await stripe.refunds.list({ payment_intent: rest[0] });
  const { amount, currency, status, metadata } = intent;
  console.log(
    JSON.stringify({
      amount,
      currency,
      status,
      metadata,
      organisation: customer.metadata.organisation,
      last4: method.card.last4,
      refunds: refunds.data.map((refund) => ({ amount: refund.amount, status: refund.status, refund: refund.metadata.refund })),
    }),
  );
} else {
  let payload = '';
  for await (const chunk of process.stdin) payload += chunk;
  const [secret, timestamp] = rest;
  const header = stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: timestamp ? Number(timestamp) : undefined });
  // what the SDK itself says of it
  stripe.webhooks.constructEvent(payload, header, secret, timestamp ? 1e9 : 300);
  console.log(header);
}
