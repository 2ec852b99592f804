import { createAuthority, issue, type KeyPair, type LeafRequest } from '../../certs/issue.ts'

/** An authority for tests. */
export interface TestAuthority extends KeyPair {
  issue(request: Partial<LeafRequest> & Pick<LeafRequest, 'usage'>): Promise<KeyPair>
}

const NOW = new Date()

export async function makeAuthority(commonName = 'test authority'): Promise<TestAuthority> {
  const authority = await createAuthority({ commonName, now: NOW, days: 2 })
  return {
    ...authority,
    issue: (request) => issue(authority, { commonName: 'test', now: NOW, days: 1, ...request }),
  }
}

/** A certificate for 127.0.0.1. */
export async function servingPair(authority: TestAuthority): Promise<KeyPair> {
  return authority.issue({ usage: 'server', ipAddresses: ['127.0.0.1'], dnsNames: ['localhost'] })
}
