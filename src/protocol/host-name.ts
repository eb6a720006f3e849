/** Names that a guest can use as its host's, and that resolvers know. */

/** A host name of RFC 1123, whole or its first part. */
const HOST_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*$/;

/** Whether a guest can be called so, or its domain. */
export function isHostName(text: string): boolean {
  return HOST_NAME.test(text);
}
