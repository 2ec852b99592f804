/** Schemas of the kinds that subresources take and give, as far as their fields do not say it. Source: contract 3.2, 5. */

/** A part of an OpenAPI document. */
export type Json = { [name: string]: unknown }

const text: Json = { type: 'string' }
const flag: Json = { type: 'boolean' }
const count: Json = { type: 'integer', format: 'int64' }

function objectOf(properties: Record<string, Json>, required: string[] = []): Json {
  return { type: 'object', properties, ...(required.length > 0 && { required }) }
}

function listOf(items: Json): Json {
  return { type: 'array', items }
}

function oneOf(values: string[]): Json {
  return { type: 'string', enum: values }
}

const target = { bus: text, readonly: flag }
const blockSize = objectOf({
  custom: objectOf({ logical: count, physical: count, discardGranularity: count }),
  matchVolume: objectOf({ enabled: flag }),
})

/** Source: contract 3.2, AddVolumeOptions. */
const disk = objectOf({
  name: text,
  disk: objectOf({ ...target, pciAddress: text }),
  lun: objectOf({ ...target, reservation: flag }),
  cdrom: objectOf({ ...target, tray: text }),
  bootOrder: { type: 'integer', minimum: 1 },
  serial: text,
  dedicatedIOThread: flag,
  cache: text,
  io: text,
  tag: text,
  blockSize,
  shareable: flag,
  errorPolicy: text,
  changedBlockTracking: flag,
})
const volumeSource = objectOf({
  persistentVolumeClaim: objectOf({ claimName: text, readOnly: flag, hotpluggable: flag }, ['claimName']),
  dataVolume: objectOf({ name: text, hotpluggable: flag }, ['name']),
})

const guestUser = objectOf({ userName: text, domain: text, loginTime: { type: 'number' } }, ['userName'])
const guestFileSystem = objectOf(
  {
    diskName: text,
    mountPoint: text,
    fileSystemType: text,
    usedBytes: count,
    totalBytes: count,
    disk: listOf(objectOf({ serial: text, busType: text })),
  },
  ['diskName', 'mountPoint', 'fileSystemType', 'usedBytes', 'totalBytes'],
)
const operatingSystem = objectOf({
  name: text,
  kernelRelease: text,
  version: text,
  prettyName: text,
  versionId: text,
  kernelVersion: text,
  machine: text,
  id: text,
})
const labels: Json = { type: 'object', additionalProperties: text }
const labelSelector = objectOf({
  matchLabels: labels,
  matchExpressions: listOf(
    objectOf({ key: text, operator: text, values: listOf(text) }, ['key', 'operator']),
  ),
})
const volumeCheckpoint = objectOf({
  volumeName: text,
  diskTarget: text,
  dataEndpoint: text,
  mapEndpoint: text,
})

/** What is known of kinds besides the fields of their options, by name. */
export const KIND_SCHEMAS: Readonly<Record<string, Json>> = {
  AddVolumeOptions: objectOf({ disk, volumeSource }, ['name', 'disk', 'volumeSource']),
  RemoveVolumeOptions: objectOf({}, ['name']),
  MigrateOptions: objectOf({ addedNodeSelector: labels }),
  ObjectGraphOptions: objectOf({ includeOptionalNodes: flag, labelSelector }),
  ObjectGraphNode: objectOf(
    {
      objectReference: objectOf({ apiGroup: text, kind: text, name: text, namespace: text }, [
        'kind',
        'name',
      ]),
      labels,
      optional: flag,
      children: listOf({ type: 'object' }),
    },
    ['objectReference'],
  ),
  VirtualMachineInstanceGuestAgentInfo: objectOf({
    guestAgentVersion: text,
    supportedCommands: listOf(objectOf({ name: text, enabled: flag }, ['name'])),
    hostname: text,
    os: operatingSystem,
    timezone: text,
    userList: listOf(guestUser),
    fsInfo: objectOf({ disks: { ...listOf(guestFileSystem), nullable: true } }),
    fsFreezeStatus: oneOf(['thawed', 'frozen']),
  }),
  VirtualMachineInstanceGuestOSUserList: objectOf(
    { metadata: { type: 'object' }, items: listOf(guestUser) },
    ['items'],
  ),
  VirtualMachineInstanceFileSystemList: objectOf(
    { metadata: { type: 'object' }, items: listOf(guestFileSystem) },
    ['items'],
  ),
  SEVPlatformInfo: objectOf({ pdh: text, certChain: text }),
  SEVMeasurementInfo: objectOf({
    measurement: text,
    apiMajor: count,
    apiMinor: count,
    buildID: count,
    policy: count,
    loaderSHA: text,
  }),
  BackupOptions: objectOf({
    cmd: oneOf(['Start', 'Abort', 'Export']),
    mode: oneOf(['Push', 'Pull']),
    backupStartTime: { type: 'string', format: 'date-time' },
  }),
  BackupCheckpoint: objectOf({
    creationTime: { type: 'string', format: 'date-time' },
    volumes: listOf(volumeCheckpoint),
  }),
  VirtualMachine: {
    type: 'object',
    description: 'A VirtualMachine, as /openapi/v3/apis/kubevirt.io/v1 has it.',
    required: ['spec'],
    properties: {
      apiVersion: text,
      kind: text,
      metadata: { type: 'object' },
      spec: { type: 'object' },
      status: { type: 'object' },
    },
  },
  StreamTicket: objectOf({
    apiVersion: text,
    kind: text,
    metadata: objectOf({ namespace: text, name: text, creationTimestamp: { ...text, format: 'date-time' } }),
    status: objectOf(
      {
        ticket: { ...text, description: 'To be sent once as the query parameter `ticket` of the stream.' },
        expirationTimestamp: { ...text, format: 'date-time' },
      },
      ['ticket', 'expirationTimestamp'],
    ),
  }),
}

/** What a refusal is answered with. Source: `metav1.Status`. */
export const STATUS_SCHEMA: Json = objectOf({
  apiVersion: text,
  kind: text,
  metadata: { type: 'object' },
  status: oneOf(['Success', 'Failure']),
  message: text,
  reason: text,
  code: { type: 'integer', format: 'int32' },
  details: objectOf({
    name: text,
    group: text,
    kind: text,
    uid: text,
    retryAfterSeconds: { type: 'integer', format: 'int32' },
    causes: listOf(objectOf({ reason: text, message: text, field: text })),
  }),
})
