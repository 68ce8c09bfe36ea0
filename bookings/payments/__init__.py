"""Deposits by Stripe Checkout. On when STRIPE_SECRET_KEY is set; `docs/payments.md` tells the whole story.

`scheduling.deposits` asks for money and gives it back, within its transactions and without a word to Stripe.
`checkout` sends a customer to Stripe, `webhooks` takes what Stripe tells, and `settling` brings both sides to agree.
`stripe_api` is the one place that talks to Stripe.
"""
