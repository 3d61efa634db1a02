// A static asset as text; null when there is none. The answer itself could not be
// passed on: its headers cannot be changed.
export async function asset(env, url) {
  const found = await env.ASSETS.fetch(url)
  return found.ok ? found.text() : null
}
