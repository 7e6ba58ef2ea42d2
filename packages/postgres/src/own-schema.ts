/**
 * Makes the schema `tidemark` where it is missing, in the transaction that goes on to make tables in it. Such transactions wait for one
 * another: two that make the same at once fail, also with IF NOT EXISTS, which moreover asks for the right to make a schema that is there.
 */
export const OWN_SCHEMA_SQL = `do $$ begin
  perform pg_advisory_xact_lock(7416022119);
  if not exists (select from pg_namespace where nspname = 'tidemark') then create schema tidemark; end if;
end $$`
