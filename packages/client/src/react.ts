import { useCallback, useSyncExternalStore } from 'react'
import type { Live, Source } from './live.js'

const LOADING: Live<never> = { state: 'loading', value: undefined }

/**
 * What is known of a node or a resource, and again whenever that changes, in a component of React: `useLive(client.tree('T1', 'C1').node('/theme'))`.
 * Components that follow the same thing share one stream, which is closed when the last of them is gone. On a server it is `loading`.
 */
export function useLive<Value>(source: Source<Value>): Live<Value> {
  const subscribe = useCallback((changed: () => void) => source.follow(changed), [source])
  return useSyncExternalStore(
    subscribe,
    () => source.current(),
    () => LOADING,
  )
}
