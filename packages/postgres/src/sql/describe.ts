import type { Connection, FieldDef } from 'pg'

/** What the server says of a statement without running it. */
export interface Description {
  /** Type OIDs of its parameters, in order. */
  readonly parameterTypes: readonly number[]
  readonly fields: readonly FieldDef[]
}

/**
 * Parse and Describe of the extended protocol, for the unnamed statement: leaves nothing behind on the server.
 *
 * @param submit  hands a query object to a client
 */
export function describe(submit: (query: object) => unknown, text: string): Promise<Description> {
  return new Promise((resolve, reject) => {
    let parameterTypes: readonly number[] = []
    let fields: readonly FieldDef[] = []
    const take = (message: { dataTypeIDs: readonly number[] }): void => {
      parameterTypes = message.dataTypeIDs
    }
    let connection: Connection | undefined
    const statement = {
      submit(own: Connection): void {
        connection = own
        connection.on('parameterDescription', take)
        connection.parse({ text, name: '', types: [] }, false)
        connection.describe({ type: 'S', name: '' }, false)
        connection.sync()
      },
      handleRowDescription(message: { fields: readonly FieldDef[] }): void {
        fields = message.fields
      },
      handleError(error: Error): void {
        connection?.removeListener('parameterDescription', take)
        reject(error)
      },
      handleReadyForQuery(): void {
        connection?.removeListener('parameterDescription', take)
        resolve({ parameterTypes, fields })
      },
    }
    submit(statement)
  })
}
