import { startExample } from '../../blog/test/blog-process.js'

/**
 * Starts what `npm run demo:flags` starts after its build, in a process of its own.
 *
 * @param {string} dataDir
 */
export async function startFlags(dataDir) {
  const { url, psql, databaseUrl, stop } = await startExample(new URL('../start.js', import.meta.url), { dataDir })
  return {
    url,
    database: databaseUrl,
    /** The statement of the line to paste into another terminal. */
    statement: /-c "([^"]+)"/.exec(psql)?.[1] ?? '',
    stop,
  }
}
