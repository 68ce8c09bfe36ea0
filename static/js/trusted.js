// The admin's jQuery builds its widgets from HTML text. This default Trusted Types policy lets such text through unless it
// would bring code along; script texts and script addresses are refused, as there is no function for them here.
const CODE = /<\s*(script|iframe|object|embed|base|meta|link)\b|[\s"'/]on\w+\s*=|javascript:/i;

globalThis.trustedTypes?.createPolicy("default", {
  createHTML: (html) => (CODE.test(html) ? null : html), // null: refused and reported
});
