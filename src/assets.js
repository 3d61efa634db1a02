// A static asset as text; null when there is none. The answer itself could not be
// passed on: its headers cannot be changed. A question mark without a query is left out.
export async function asset(env, url) {
  const found = await env.ASSETS.fetch(url.replace(/(\.json)?\??$/, '.json'))
  return found.ok ? found.text() : null
}
