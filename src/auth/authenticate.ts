import { unauthorized } from '../lib/errors.ts'
import type { Authenticator, Credentials, User } from './access.ts'
import { anonymousUser, withAuthenticatedGroup } from './names.ts'

/**
 * Asks one authenticator after the other; the first that knows the credentials answers. Throws 401 where one finds
 * them wrong, and where a bearer token is shown that none knows: a wrong token never makes an anonymous caller.
 *
 * A client certificate that no authenticator knows counts as none: browsers and kubectl send what they have.
 */
export function unionAuthenticator(authenticators: readonly Authenticator[]): Authenticator {
  return {
    async authenticate(credentials) {
      for (const authenticator of authenticators) {
        const user = await authenticator.authenticate(credentials)
        if (user) return withAuthenticatedGroup(user)
      }
      if (credentials.bearerToken !== undefined) throw unauthorized()
      return undefined
    },
  }
}

/** Who is asking. Throws 401 where nobody is and `allowAnonymous` is not set. */
export async function requireUser(
  authenticator: Authenticator,
  credentials: Credentials,
  { allowAnonymous = false }: { allowAnonymous?: boolean } = {},
): Promise<User> {
  const user = await authenticator.authenticate(credentials)
  if (user) return user
  if (!allowAnonymous) throw unauthorized()
  return anonymousUser()
}
