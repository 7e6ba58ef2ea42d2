/**
 * The configuration of HAProxy before the blog's processes: requests go to one after the other, streams stay where they are for as
 * long as they like, and a process that does not answer is passed over.
 *
 * @param {{ port: number, processes: readonly number[], bind?: string }} ports  `bind`: where it listens itself; by default on this machine only
 */
export function haproxyConfig({ port, processes, bind = '127.0.0.1' }) {
  const servers = processes.map((each, i) => `  server blog${i + 1} 127.0.0.1:${each} check inter 500ms fall 2 rise 1`)
  return `global
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout http-request 10s
  timeout http-keep-alive 30s
  timeout queue 5s
  # A stream is silent for up to 15 s between two heartbeats, and open for hours.
  timeout client 1h
  timeout server 1h
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response 503
frontend blog
  bind ${bind}:${port}
  # What writes is never sent twice.
  http-request disable-l7-retry unless METH_GET
  default_backend processes
backend processes
  balance roundrobin
  option httpchk
  http-check send meth GET uri /health ver HTTP/1.1 hdr Host 127.0.0.1:${port}
${servers.join('\n')}
`
}
