/**
 * KubeVirt's types as its admission reads them, a line each: the name, then members as `name flags:type`.
 *
 * Types: `str`, `bool`, `i32`, `int64`, `u32`, `u64`, `qty`, `time`, `duration`, `intstr`, `obj`; `[T]` a list, `{T}` a map,
 * `Name` an object, `&Name` an object that may be absent. `?` after a scalar: kept where it is zero. `!`: required.
 * `*`: written even where it is empty. `(A/B)`: one of these. Contract: admission-schema.md.
 */
export const CATALOGUE = `
VirtualMachineInstanceSpec priorityClassName:str, domain!*:DomainSpec, nodeSelector:{str}, affinity:&core.Affinity, schedulerName:str, serviceAccountName:str, tolerations:[core.Toleration], topologySpreadConstraints:[core.TopologySpreadConstraint], evictionStrategy:str?, startStrategy:str?, terminationGracePeriodSeconds:int64?, volumes:[Volume], livenessProbe:&Probe, readinessProbe:&Probe, hostname:str, subdomain:str, networks:[Network], dnsPolicy:str(ClusterFirst/ClusterFirstWithHostNet/Default/None), dnsConfig:&core.PodDNSConfig, accessCredentials:[AccessCredential], architecture:str, resourceClaims:[VirtualMachineInstanceResourceClaim], utilityVolumes:[UtilityVolume]
VirtualMachineInstanceStatus nodeName:str, reason:str, conditions:[VirtualMachineInstanceCondition], phase:str, phaseTransitionTimestamps:[VirtualMachineInstancePhaseTransitionTimestamp], interfaces:[VirtualMachineInstanceNetworkInterface], guestOSInfo*:VirtualMachineInstanceGuestOSInfo, migrationState:&VirtualMachineInstanceMigrationState, migrationMethod:str, migrationTransport:str, qosClass:str?(BestEffort/Burstable/Guaranteed), launcherContainerImageVersion:str, evacuationNodeName:str, activePods:{str}, volumeStatus:[VolumeStatus], kernelBootStatus:&KernelBootStatus, fsFreezeStatus:str, topologyHints:&TopologyHints, virtualMachineRevisionName:str, runtimeUser*:u64, VSOCKCID:u32?, selinuxContext:str, machine:&Machine, currentCPUTopology:&CPUTopology, memory:&MemoryStatus, migratedVolumes:[StorageMigratedVolumeInfo], changedBlockTracking:&ChangedBlockTrackingStatus
VirtualMachineSpec running:bool?, runStrategy:str?, instancetype:&InstancetypeMatcher, preference:&PreferenceMatcher, template!*:&VirtualMachineInstanceTemplateSpec, dataVolumeTemplates:[DataVolumeTemplateSpec], updateVolumesStrategy:str?
VirtualMachineStatus snapshotInProgress:str?, restoreInProgress:str?, created:bool, ready:bool, printableStatus:str, conditions:[VirtualMachineCondition], stateChangeRequests:[VirtualMachineStateChangeRequest], volumeRequests:[VirtualMachineVolumeRequest], volumeSnapshotStatuses:[VolumeSnapshotStatus], startFailure:&VirtualMachineStartFailure, memoryDumpRequest:&VirtualMachineMemoryDumpRequest, observedGeneration:int64, desiredGeneration:int64, runStrategy:str, volumeUpdateState:&VolumeUpdateState, changedBlockTracking:&ChangedBlockTrackingStatus, instancetypeRef:&InstancetypeStatusRef, preferenceRef:&InstancetypeStatusRef
VirtualMachineInstanceReplicaSetSpec replicas:i32?, selector!*:&meta.LabelSelector, template!*:&VirtualMachineInstanceTemplateSpec, paused:bool
VirtualMachineInstanceReplicaSetStatus replicas:i32, readyReplicas:i32, conditions:[VirtualMachineInstanceReplicaSetCondition], labelSelector:str
VirtualMachineInstancePresetSpec selector!*:meta.LabelSelector, domain:&DomainSpec
VirtualMachineInstanceMigrationSpec vmiName:str, addedNodeSelector:{str}, sendTo:&VirtualMachineInstanceMigrationSource, receive:&VirtualMachineInstanceMigrationTarget, priority:str?
VirtualMachineInstanceMigrationStatus phase:str, conditions:[VirtualMachineInstanceMigrationCondition], phaseTransitionTimestamps:[VirtualMachineInstanceMigrationPhaseTransitionTimestamp], migrationState:&VirtualMachineInstanceMigrationState, synchronizationAddresses:[str]
DomainSpec resources*:ResourceRequirements, cpu:&CPU, memory:&Memory, machine:&Machine, firmware:&Firmware, clock:&Clock, features:&Features, devices!*:Devices, ioThreadsPolicy:str?, ioThreads:&DiskIOThreads, chassis:&Chassis, launchSecurity:&LaunchSecurity, rebootPolicy:str?
core.Affinity nodeAffinity:&core.NodeAffinity, podAffinity:&core.PodAffinity, podAntiAffinity:&core.PodAntiAffinity
core.Toleration key:str, operator:str(Equal/Exists), value:str, effect:str(NoExecute/NoSchedule/PreferNoSchedule), tolerationSeconds:int64?
core.TopologySpreadConstraint maxSkew*:i32, topologyKey*:str, whenUnsatisfiable*:str(DoNotSchedule/ScheduleAnyway), labelSelector:&meta.LabelSelector, minDomains:i32?, nodeAffinityPolicy:str?(Honor/Ignore), nodeTaintsPolicy:str?(Honor/Ignore), matchLabelKeys:[str]
Volume name*:str, hostDisk:&HostDisk, persistentVolumeClaim:&PersistentVolumeClaimVolumeSource, cloudInitNoCloud:&CloudInitNoCloudSource, cloudInitConfigDrive:&CloudInitConfigDriveSource, sysprep:&SysprepSource, containerDisk:&ContainerDiskSource, ephemeral:&EphemeralVolumeSource, emptyDisk:&EmptyDiskSource, dataVolume:&DataVolumeSource, configMap:&ConfigMapVolumeSource, secret:&SecretVolumeSource, downwardAPI:&DownwardAPIVolumeSource, serviceAccount:&ServiceAccountVolumeSource, downwardMetrics:&DownwardMetricsVolumeSource, memoryDump:&MemoryDumpVolumeSource, containerPath:&ContainerPathVolumeSource
Probe exec:&core.ExecAction, guestAgentPing:&GuestAgentPing, httpGet:&core.HTTPGetAction, tcpSocket:&core.TCPSocketAction, initialDelaySeconds:i32, timeoutSeconds:i32, periodSeconds:i32, successThreshold:i32, failureThreshold:i32
Network name*:str, pod:&PodNetwork, multus:&MultusNetwork, resourceClaim:&ClaimRequest
core.PodDNSConfig nameservers:[str], searches:[str], options:[core.PodDNSConfigOption]
AccessCredential sshPublicKey:&SSHPublicKeyAccessCredential, userPassword:&UserPasswordAccessCredential
VirtualMachineInstanceResourceClaim name*:str, resourceClaimName:str?, resourceClaimTemplateName:str?
UtilityVolume name*:str, claimName*:str, readOnly:bool, type:str?
VirtualMachineInstanceCondition type*:str, status*:str, lastProbeTime*:time, lastTransitionTime*:time, reason:str, message:str
VirtualMachineInstancePhaseTransitionTimestamp phase:str, phaseTransitionTimestamp*:time
VirtualMachineInstanceNetworkInterface ipAddress:str, mac:str, name:str, ipAddresses:[str], podInterfaceName:str, interfaceName:str, infoSource:str, queueCount:i32, linkState:str
VirtualMachineInstanceGuestOSInfo name:str, kernelRelease:str, version:str, prettyName:str, versionId:str, kernelVersion:str, machine:str, id:str
VirtualMachineInstanceMigrationState startTimestamp:time?, endTimestamp:time?, targetNodeDomainReadyTimestamp:time?, targetNodeDomainDetected:bool, targetNodeAddress:str, targetDirectMigrationNodePorts:{int64}, targetNode:str, targetPod:str, targetAttachmentPodUID:str, sourceNode:str, sourcePod:str, completed:bool, failed:bool, abortRequested:bool, abortStatus:str, failureReason:str, migrationUid:str, mode:str, migrationPolicyName:str?, migrationConfiguration:&VMIMConfigurationOptions, targetCPUSet:[int64], targetNodeTopology:str, sourcePersistentStatePVCName:str, targetPersistentStatePVCName:str, sourceState:&VirtualMachineInstanceMigrationSourceState, targetState:&VirtualMachineInstanceMigrationTargetState, migrationNetworkType:str, targetMemoryOverhead:qty?
VolumeStatus name*:str, target*:str, phase:str, reason:str, message:str, persistentVolumeClaimInfo:&PersistentVolumeClaimInfo, hotplugVolume:&HotplugVolumeStatus, size:int64, memoryDumpVolume:&DomainMemoryDumpInfo, containerDiskVolume:&ContainerDiskInfo
KernelBootStatus kernelInfo:&KernelInfo, initrdInfo:&InitrdInfo
TopologyHints tscFrequency:int64?
Machine type*:str
CPUTopology cores:u32, sockets:u32, threads:u32
MemoryStatus guestAtBoot:qty?, guestCurrent:qty?, guestRequested:qty?, memoryOverhead:qty?
StorageMigratedVolumeInfo volumeName*:str, sourcePVCInfo:&PersistentVolumeClaimInfo, destinationPVCInfo:&PersistentVolumeClaimInfo
ChangedBlockTrackingStatus state*:str, backupStatus:&VirtualMachineInstanceBackupStatus
InstancetypeMatcher name:str, kind:str, revisionName:str, inferFromVolume:str, inferFromVolumeFailurePolicy:str?
PreferenceMatcher name:str, kind:str, revisionName:str, inferFromVolume:str, inferFromVolumeFailurePolicy:str?
VirtualMachineInstanceTemplateSpec metadata*:meta.ObjectMeta, spec*:VirtualMachineInstanceSpec
DataVolumeTemplateSpec kind:str, apiVersion:str, metadata*:meta.ObjectMeta, spec!*:cdi.DataVolumeSpec, status:&DataVolumeTemplateDummyStatus
VirtualMachineCondition type*:str, status*:str, lastProbeTime*:time, lastTransitionTime*:time, reason:str, message:str
VirtualMachineStateChangeRequest action*:str, data:{str}, uid:str?
VirtualMachineVolumeRequest addVolumeOptions:&AddVolumeOptions, removeVolumeOptions:&RemoveVolumeOptions
VolumeSnapshotStatus name*:str, enabled*:bool, reason:str
VirtualMachineStartFailure consecutiveFailCount:int64, lastFailedVMIUID:str, retryAfterTimestamp:time?
VirtualMachineMemoryDumpRequest claimName*:str, phase*:str, remove:bool, startTimestamp:time?, endTimestamp:time?, fileName:str?, message:str
VolumeUpdateState volumeMigrationState:&VolumeMigrationState
InstancetypeStatusRef name:str, kind:str, controllerRevisionRef:&ControllerRevisionRef, inferFromVolume:str, inferFromVolumeFailurePolicy:str?
meta.LabelSelector matchLabels:{str}, matchExpressions:[meta.LabelSelectorRequirement]
VirtualMachineInstanceReplicaSetCondition type*:str, status*:str, lastProbeTime*:time, lastTransitionTime*:time, reason:str, message:str
VirtualMachineInstanceMigrationSource migrationID*:str, connectURL*:str
VirtualMachineInstanceMigrationTarget migrationID*:str
VirtualMachineInstanceMigrationCondition type*:str, status*:str, lastProbeTime*:time, lastTransitionTime*:time, reason:str, message:str
VirtualMachineInstanceMigrationPhaseTransitionTimestamp phase:str, phaseTransitionTimestamp*:time
ResourceRequirements requests:{qty}, limits:{qty}, overcommitGuestOverhead:bool
CPU cores:u32, sockets:u32, maxSockets:u32, threads:u32, model:str, features:[CPUFeature], dedicatedCpuPlacement:bool, numa:&NUMA, isolateEmulatorThread:bool, realtime:&Realtime
Memory hugepages:&Hugepages, guest:qty?, maxGuest:qty?, reservedOverhead:&ReservedOverhead
Firmware uuid:str, bootloader:&Bootloader, serial:str, kernelBoot:&KernelBoot, acpi:&ACPI
Clock utc:&ClockOffsetUTC, timezone:str?, timer:&Timer
Features acpi*:FeatureState, apic:&FeatureAPIC, hypervPassthrough:&HyperVPassthrough, hyperv:&FeatureHyperv, smm:&FeatureState, kvm:&FeatureKVM, pvspinlock:&FeatureState
Devices useVirtioTransitional:bool?, disableHotplug:bool, disks:[Disk], watchdog:&Watchdog, interfaces:[Interface], inputs:[Input], autoattachPodInterface:bool?, autoattachGraphicsDevice:bool?, autoattachSerialConsole:bool?, logSerialConsole:bool?, autoattachMemBalloon:bool?, autoattachInputDevice:bool?, autoattachVSOCK:bool?, rng:&Rng, blockMultiQueue:bool?, networkInterfaceMultiqueue:bool?, gpus:[GPU], downwardMetrics:&DownwardMetrics, panicDevices:[PanicDevice], filesystems:[Filesystem], hostDevices:[HostDevice], clientPassthrough:&ClientPassthroughDevices, sound:&SoundDevice, tpm:&TPMDevice, video:&VideoDevice
DiskIOThreads supplementalPoolThreadCount:u32?
Chassis manufacturer:str, version:str, serial:str, asset:str, sku:str
LaunchSecurity sev:&SEV, snp:&SEVSNP, tdx:&TDX
core.NodeAffinity requiredDuringSchedulingIgnoredDuringExecution:&core.NodeSelector, preferredDuringSchedulingIgnoredDuringExecution:[core.PreferredSchedulingTerm]
core.PodAffinity requiredDuringSchedulingIgnoredDuringExecution:[core.PodAffinityTerm], preferredDuringSchedulingIgnoredDuringExecution:[core.WeightedPodAffinityTerm]
core.PodAntiAffinity requiredDuringSchedulingIgnoredDuringExecution:[core.PodAffinityTerm], preferredDuringSchedulingIgnoredDuringExecution:[core.WeightedPodAffinityTerm]
HostDisk path*:str, type*:str, capacity*:qty, shared:bool?
PersistentVolumeClaimVolumeSource claimName*:str, readOnly:bool, hotpluggable:bool
CloudInitNoCloudSource secretRef:&core.LocalObjectReference, userDataBase64:str, userData:str, networkDataSecretRef:&core.LocalObjectReference, networkDataBase64:str, networkData:str
CloudInitConfigDriveSource secretRef:&core.LocalObjectReference, userDataBase64:str, userData:str, networkDataSecretRef:&core.LocalObjectReference, networkDataBase64:str, networkData:str
SysprepSource secret:&core.LocalObjectReference, configMap:&core.LocalObjectReference
ContainerDiskSource image*:str, imagePullSecret:str, path:str, imagePullPolicy:str(Always/IfNotPresent/Never)
EphemeralVolumeSource persistentVolumeClaim:&core.PersistentVolumeClaimVolumeSource
EmptyDiskSource capacity!*:qty
DataVolumeSource name*:str, hotpluggable:bool
ConfigMapVolumeSource name:str, optional:bool?, volumeLabel:str
SecretVolumeSource secretName:str, optional:bool?, volumeLabel:str
DownwardAPIVolumeSource fields:[core.DownwardAPIVolumeFile], volumeLabel:str
ServiceAccountVolumeSource serviceAccountName:str
DownwardMetricsVolumeSource
MemoryDumpVolumeSource claimName*:str, readOnly:bool, hotpluggable:bool
ContainerPathVolumeSource path*:str, readOnly:bool?
core.ExecAction command:[str]
GuestAgentPing
core.HTTPGetAction path:str, port!*:intstr, host:str, scheme:str(HTTP/HTTPS), httpHeaders:[core.HTTPHeader]
core.TCPSocketAction port!*:intstr, host:str
PodNetwork vmNetworkCIDR:str, vmIPv6NetworkCIDR:str
MultusNetwork networkName*:str, default:bool
ClaimRequest claimName:str, requestName:str
core.PodDNSConfigOption name:str, value:str?
SSHPublicKeyAccessCredential source!*:SSHPublicKeyAccessCredentialSource, propagationMethod!*:SSHPublicKeyAccessCredentialPropagationMethod
UserPasswordAccessCredential source!*:UserPasswordAccessCredentialSource, propagationMethod!*:UserPasswordAccessCredentialPropagationMethod
VMIMConfigurationOptions nodeDrainTaintKey:str?, parallelOutboundMigrationsPerNode:u32?, parallelMigrationsPerCluster:u32?, allowAutoConverge:bool?, bandwidthPerMigration:qty?, completionTimeoutPerGiB:int64?, maxDowntimeMs:u64?, progressTimeout:int64?, utilityVolumesTimeout:int64?, unsafeMigrationOverride:bool?, allowPostCopy:bool?, allowWorkloadDisruption:bool?, disableTLS:bool?, network:str?, matchSELinuxLevelOnMigration:bool?, experimental:&ExperimentalMigrationOptions
VirtualMachineInstanceMigrationSourceState node:str, pod:str, migrationUID:str, domainName:str?, domainNamespace:str?, syncAddress:str?, persistentStatePVCName:str?, selinuxContext:str, virtualMachineInstanceUID:str?, nodeSelectors:{str}
VirtualMachineInstanceMigrationTargetState node:str, pod:str, migrationUID:str, domainName:str?, domainNamespace:str?, syncAddress:str?, persistentStatePVCName:str?, selinuxContext:str, virtualMachineInstanceUID:str?, domainReadyTimestamp:time?, domainDetected:bool, nodeAddress:str?, directMigrationNodePorts:{int64}, attachmentPodUID:str?, cpuSet:[int64], nodeTopology:str?
PersistentVolumeClaimInfo claimName:str, accessModes:[str], volumeMode:str?(Block/Filesystem/FromStorageProfile), capacity:{qty}, requests:{qty}, preallocated:bool, filesystemOverhead:str?
HotplugVolumeStatus attachPodName:str, attachPodUID:str
DomainMemoryDumpInfo startTimestamp:time?, endTimestamp:time?, claimName:str, targetFileName:str
ContainerDiskInfo checksum:u32
KernelInfo checksum:u32
InitrdInfo checksum:u32
VirtualMachineInstanceBackupStatus backupName:str, startTimestamp:time?, endTimestamp:time?, completed:bool, failed:bool, backupMsg:str?, checkpointName:str?, volumes:[backup.BackupVolumeInfo], quiesceStatus:str
meta.ObjectMeta name:str, generateName:str, namespace:str, selfLink:str, uid:str, resourceVersion:str, generation:int64, creationTimestamp:time, deletionTimestamp:time?, deletionGracePeriodSeconds:int64?, labels:{str}, annotations:{str}, ownerReferences:[meta.OwnerReference], finalizers:[str], managedFields:[meta.ManagedFieldsEntry]
cdi.DataVolumeSpec source:&cdi.DataVolumeSource, sourceRef:&cdi.DataVolumeSourceRef, pvc:&core.PersistentVolumeClaimSpec, storage:&cdi.StorageSpec, priorityClassName:str, contentType:str, checkpoints:[cdi.DataVolumeCheckpoint], finalCheckpoint:bool, preallocation:bool?
DataVolumeTemplateDummyStatus
AddVolumeOptions name*:str, disk!*:&Disk, volumeSource!*:&HotplugVolumeSource, dryRun:[str]
RemoveVolumeOptions name*:str, dryRun:[str]
VolumeMigrationState migratedVolumes:[StorageMigratedVolumeInfo]
ControllerRevisionRef name:str
meta.LabelSelectorRequirement key*:str, operator*:str, values:[str]
CPUFeature name*:str, policy:str
NUMA guestMappingPassthrough:&NUMAGuestMappingPassthrough
Realtime mask:str
Hugepages pageSize:str
ReservedOverhead addedOverhead:qty?, memLock:str?
Bootloader bios:&BIOS, efi:&EFI
KernelBoot kernelArgs:str, container:&KernelBootContainer
ACPI slicNameRef:str, msdmNameRef:str
ClockOffsetUTC offsetSeconds:int64?
Timer hpet:&HPETTimer, kvm:&KVMTimer, pit:&PITTimer, rtc:&RTCTimer, hyperv:&HypervTimer
FeatureState enabled:bool?
FeatureAPIC enabled:bool?, endOfInterrupt:bool
HyperVPassthrough enabled:bool?
FeatureHyperv relaxed:&FeatureState, vapic:&FeatureState, spinlocks:&FeatureSpinlocks, vpindex:&FeatureState, runtime:&FeatureState, synic:&FeatureState, synictimer:&SyNICTimer, reset:&FeatureState, vendorid:&FeatureVendorID, frequencies:&FeatureState, reenlightenment:&FeatureState, tlbflush:&TLBFlush, ipi:&FeatureState, evmcs:&FeatureState
FeatureKVM hidden:bool
Disk name*:str, disk:&DiskTarget, lun:&LunTarget, cdrom:&CDRomTarget, bootOrder:u64?, serial:str, dedicatedIOThread:bool?, cache:str, io:str, tag:str, blockSize:&BlockSize, shareable:bool?, errorPolicy:str?, changedBlockTracking:bool?
Watchdog name*:str, i6300esb:&I6300ESBWatchdog, diag288:&Diag288Watchdog
Interface name*:str, model:str, bridge:&InterfaceBridge, slirp:&DeprecatedInterfaceSlirp, masquerade:&InterfaceMasquerade, sriov:&InterfaceSRIOV, macvtap:&DeprecatedInterfaceMacvtap, passt:&DeprecatedInterfacePasst, passtBinding:&InterfacePasstBinding, binding:&PluginBinding, ports:[Port], portRanges:[PortRange], macAddress:str, bootOrder:u64?, pciAddress:str, dhcpOptions:&DHCPOptions, tag:str, acpiIndex:int64, state:str
Input bus:str, type*:str, name*:str
Rng
GPU name*:str, deviceName:str, claimName:str, requestName:str, virtualGPUOptions:&VGPUOptions, tag:str
DownwardMetrics
PanicDevice model:str?
Filesystem name*:str, virtiofs!*:&FilesystemVirtiofs
HostDevice name*:str, deviceName:str, claimName:str, requestName:str, tag:str
ClientPassthroughDevices
SoundDevice name*:str, model:str
TPMDevice enabled:bool?, persistent:bool?
VideoDevice type:str
SEV policy:&SEVPolicy, attestation:&SEVAttestation, session:str, dhCert:str
SEVSNP
TDX
core.NodeSelector nodeSelectorTerms!*:[core.NodeSelectorTerm]
core.PreferredSchedulingTerm weight*:i32, preference!*:core.NodeSelectorTerm
core.PodAffinityTerm labelSelector:&meta.LabelSelector, namespaces:[str], topologyKey*:str, namespaceSelector:&meta.LabelSelector, matchLabelKeys:[str], mismatchLabelKeys:[str]
core.WeightedPodAffinityTerm weight*:i32, podAffinityTerm!*:core.PodAffinityTerm
core.LocalObjectReference name:str
core.PersistentVolumeClaimVolumeSource claimName*:str, readOnly:bool
core.DownwardAPIVolumeFile path*:str, fieldRef:&core.ObjectFieldSelector, resourceFieldRef:&core.ResourceFieldSelector, mode:i32?
core.HTTPHeader name*:str, value*:str
SSHPublicKeyAccessCredentialSource secret:&AccessCredentialSecretSource
SSHPublicKeyAccessCredentialPropagationMethod configDrive:&ConfigDriveSSHPublicKeyAccessCredentialPropagation, noCloud:&NoCloudSSHPublicKeyAccessCredentialPropagation, qemuGuestAgent:&QemuGuestAgentSSHPublicKeyAccessCredentialPropagation
UserPasswordAccessCredentialSource secret:&AccessCredentialSecretSource
UserPasswordAccessCredentialPropagationMethod qemuGuestAgent:&QemuGuestAgentUserPasswordAccessCredentialPropagation
ExperimentalMigrationOptions stallDetector:&StallDetectorOptions, compression:str?
backup.BackupVolumeInfo volumeName*:str, diskTarget*:str, dataEndpoint:str, mapEndpoint:str
meta.OwnerReference apiVersion*:str, kind*:str, name*:str, uid*:str, controller:bool?, blockOwnerDeletion:bool?
meta.ManagedFieldsEntry manager:str, operation:str, apiVersion:str, time:time?, fieldsType:str, fieldsV1:&obj, subresource:str
cdi.DataVolumeSource http:&cdi.DataVolumeSourceHTTP, s3:&cdi.DataVolumeSourceS3, gcs:&cdi.DataVolumeSourceGCS, registry:&cdi.DataVolumeSourceRegistry, pvc:&cdi.DataVolumeSourcePVC, upload:&cdi.DataVolumeSourceUpload, blank:&cdi.DataVolumeBlankImage, imageio:&cdi.DataVolumeSourceImageIO, vddk:&cdi.DataVolumeSourceVDDK, snapshot:&cdi.DataVolumeSourceSnapshot
cdi.DataVolumeSourceRef kind*:str, namespace:str?, name*:str
core.PersistentVolumeClaimSpec accessModes:[str], selector:&meta.LabelSelector, resources*:core.VolumeResourceRequirements, volumeName:str, storageClassName:str?, volumeMode:str?(Block/Filesystem/FromStorageProfile), dataSource:&core.TypedLocalObjectReference, dataSourceRef:&core.TypedObjectReference, volumeAttributesClassName:str?
cdi.StorageSpec accessModes:[str], selector:&meta.LabelSelector, resources*:core.VolumeResourceRequirements, volumeName:str, storageClassName:str?, volumeMode:str?(Block/Filesystem/FromStorageProfile), dataSource:&core.TypedLocalObjectReference, dataSourceRef:&core.TypedObjectReference
cdi.DataVolumeCheckpoint previous*:str, current*:str
HotplugVolumeSource persistentVolumeClaim:&PersistentVolumeClaimVolumeSource, dataVolume:&DataVolumeSource
NUMAGuestMappingPassthrough
BIOS useSerial:bool?
EFI secureBoot:bool?, persistent:bool?
KernelBootContainer image*:str, imagePullSecret:str, imagePullPolicy:str(Always/IfNotPresent/Never), kernelPath:str, initrdPath:str
HPETTimer tickPolicy:str, present:bool?
KVMTimer present:bool?
PITTimer tickPolicy:str, present:bool?
RTCTimer tickPolicy:str, present:bool?, track:str
HypervTimer present:bool?
FeatureSpinlocks enabled:bool?, spinlocks:u32?
SyNICTimer enabled:bool?, direct:&FeatureState
FeatureVendorID enabled:bool?, vendorid:str
TLBFlush enabled:bool?, direct:&FeatureState, extended:&FeatureState
DiskTarget bus:str, readonly:bool, pciAddress:str
LunTarget bus:str, readonly:bool, reservation:bool
CDRomTarget bus:str, readonly:bool?, tray:str
BlockSize custom:&CustomBlockSize, matchVolume:&FeatureState
I6300ESBWatchdog action:str
Diag288Watchdog action:str
InterfaceBridge
DeprecatedInterfaceSlirp
InterfaceMasquerade
InterfaceSRIOV
DeprecatedInterfaceMacvtap
DeprecatedInterfacePasst
InterfacePasstBinding
PluginBinding name*:str
Port name:str, protocol:str, port*:i32
PortRange protocol*:str, start*:i32, end*:i32
DHCPOptions bootFileName:str, tftpServerName:str, ntpServers:[str], privateOptions:[DHCPPrivateOptions]
VGPUOptions display:&VGPUDisplayOptions
FilesystemVirtiofs
SEVPolicy encryptedState:bool?
SEVAttestation
core.NodeSelectorTerm matchExpressions:[core.NodeSelectorRequirement], matchFields:[core.NodeSelectorRequirement]
core.ObjectFieldSelector apiVersion:str, fieldPath*:str
core.ResourceFieldSelector containerName:str, resource*:str, divisor*:qty
AccessCredentialSecretSource secretName*:str
ConfigDriveSSHPublicKeyAccessCredentialPropagation
NoCloudSSHPublicKeyAccessCredentialPropagation
QemuGuestAgentSSHPublicKeyAccessCredentialPropagation users!*:[str]
QemuGuestAgentUserPasswordAccessCredentialPropagation
StallDetectorOptions stallMargin:int64?, ewmaAlpha:str?, stallProgressTimeout:u64?, switchoverTimeout:u64?, precopyPossibleFactor:str?, patienceWindowDecayFactor:str?, searchLocalMinima:bool?, completionTimeoutFactor:str?
cdi.DataVolumeSourceHTTP url*:str, secretRef:str, certConfigMap:str, extraHeaders:[str], secretExtraHeaders:[str]
cdi.DataVolumeSourceS3 url*:str, secretRef:str, certConfigMap:str
cdi.DataVolumeSourceGCS url*:str, secretRef:str
cdi.DataVolumeSourceRegistry url:str?, imageStream:str?, pullMethod:str?, secretRef:str?, certConfigMap:str?, platform:&cdi.PlatformOptions
cdi.DataVolumeSourcePVC namespace*:str, name*:str
cdi.DataVolumeSourceUpload
cdi.DataVolumeBlankImage
cdi.DataVolumeSourceImageIO url*:str, diskId*:str, secretRef:str, certConfigMap:str, insecureSkipVerify:bool?
cdi.DataVolumeSourceVDDK url:str, uuid:str, backingFile:str, thumbprint:str, secretRef:str, initImageURL:str, extraArgs:str
cdi.DataVolumeSourceSnapshot namespace*:str, name*:str
core.VolumeResourceRequirements limits:{qty}, requests:{qty}
core.TypedLocalObjectReference apiGroup*:str?, kind*:str, name*:str
core.TypedObjectReference apiGroup*:str?, kind*:str, name*:str, namespace:str?
CustomBlockSize logical:u64, physical:u64, discardGranularity:u64?
DHCPPrivateOptions option*:int64, value*:str
VGPUDisplayOptions enabled:bool?, ramFB:&FeatureState
core.NodeSelectorRequirement key*:str, operator*:str(DoesNotExist/Exists/Gt/In/Lt/NotIn), values:[str]
cdi.PlatformOptions architecture:str
pool.VirtualMachinePoolSpec replicas:i32?, selector*:&meta.LabelSelector, virtualMachineTemplate*:&pool.VirtualMachineTemplateSpec, paused:bool, nameGeneration:&pool.VirtualMachinePoolNameGeneration, maxUnavailable:intstr?, scaleInStrategy:&pool.VirtualMachinePoolScaleInStrategy, updateStrategy:&pool.VirtualMachinePoolUpdateStrategy, autohealing:&pool.VirtualMachinePoolAutohealingStrategy
pool.VirtualMachinePoolStatus replicas:i32, readyReplicas:i32, conditions:[pool.VirtualMachinePoolCondition], labelSelector:str
mp.MigrationPolicySpec selectors*:&mp.Selectors, allowAutoConverge:bool?, bandwidthPerMigration:qty?, completionTimeoutPerGiB:int64?, maxDowntimeMs:u64?, allowPostCopy:bool?, allowWorkloadDisruption:bool?, experimental:&ExperimentalMigrationOptions
clone.VirtualMachineCloneSpec source*:&core.TypedLocalObjectReference, target:&core.TypedLocalObjectReference, annotationFilters:[str], labelFilters:[str], template*:clone.VirtualMachineCloneTemplateFilters, newMacAddresses:{str}, newSMBiosSerial:str?, patches:[str], volumeNamePolicy:str?
clone.VirtualMachineCloneStatus creationTime:time?, phase:str, conditions:[clone.Condition], snapshotName:str?, restoreName:str?, targetName:str?
snap.VirtualMachineSnapshotSpec source*:core.TypedLocalObjectReference, deletionPolicy:str?, failureDeadline:duration?
snap.VirtualMachineRestoreSpec target*:core.TypedLocalObjectReference, virtualMachineSnapshotName*:str, targetReadinessPolicy:str?, volumeRestorePolicy:str?, volumeOwnershipPolicy:str?, volumeRestoreOverrides:[snap.VolumeRestoreOverride], patches:[str]
backup.VirtualMachineBackupSpec source*:core.TypedLocalObjectReference, mode:str?, pvcName:str?, skipQuiesce:bool, forceFullBackup:bool, tokenSecretRef:str, ttlDuration:duration?
backup.VirtualMachineBackupTrackerSpec source*:core.TypedLocalObjectReference
export.VirtualMachineExportSpec source*:core.TypedLocalObjectReference, tokenSecretRef:str?, ttlDuration:duration?
it.VirtualMachineInstancetypeSpec nodeSelector:{str}, schedulerName:str, cpu*:it.CPUInstancetype, memory*:it.MemoryInstancetype, gpus:[GPU], hostDevices:[HostDevice], ioThreadsPolicy:str?, ioThreads:&DiskIOThreads, launchSecurity:&LaunchSecurity, annotations:{str}
it.VirtualMachinePreferenceSpec clock:&it.ClockPreferences, cpu:&it.CPUPreferences, devices:&it.DevicePreferences, features:&it.FeaturePreferences, firmware:&it.FirmwarePreferences, machine:&it.MachinePreferences, volumes:&it.VolumePreferences, preferredSubdomain:str?, preferredTerminationGracePeriodSeconds:int64?, requirements:&it.PreferenceRequirements, annotations:{str}, preferSpreadSocketToCoreRatio:u32, preferredArchitecture:str?, preferredLaunchSecurity:&LaunchSecurity
plugin.PluginSpec condition:str, failureStrategy:str, domainHooks:[plugin.DomainHook], nodeHooks:[plugin.NodeHook], mutatingAdmissionPolicies:[plugin.AdmissionReference], validatingAdmissionPolicies:[plugin.AdmissionReference], mutatingAdmissionWebhooks:[plugin.AdmissionReference], validatingAdmissionWebhooks:[plugin.AdmissionReference]
pool.VirtualMachineTemplateSpec metadata*:meta.ObjectMeta, spec*:VirtualMachineSpec
pool.VirtualMachinePoolNameGeneration appendIndexToConfigMapRefs:bool?, appendIndexToSecretRefs:bool?
pool.VirtualMachinePoolScaleInStrategy unmanaged:&pool.VirtualMachinePoolUnmanagedStrategy, opportunistic:&pool.VirtualMachinePoolOpportunisticScaleInStrategy, proactive:&pool.VirtualMachinePoolProactiveScaleInStrategy
pool.VirtualMachinePoolUpdateStrategy unmanaged:&pool.VirtualMachinePoolUnmanagedStrategy, opportunistic:&pool.VirtualMachineOpportunisticUpdateStrategy, proactive:&pool.VirtualMachinePoolProactiveUpdateStrategy
pool.VirtualMachinePoolAutohealingStrategy startUpFailureThreshold:u32?, minFailingToStartDuration:duration?
pool.VirtualMachinePoolCondition type*:str, status*:str, lastProbeTime*:time, lastTransitionTime*:time, reason:str, message:str
mp.Selectors namespaceSelector:{str}, virtualMachineInstanceSelector:{str}
clone.VirtualMachineCloneTemplateFilters annotationFilters:[str], labelFilters:[str]
clone.Condition type*:str, status*:str, lastProbeTime*:time, lastTransitionTime*:time, reason:str, message:str
snap.VolumeRestoreOverride volumeName:str, restoreName:str, labels:{str}, annotations:{str}
it.CPUInstancetype guest*:u32, model:str?, dedicatedCPUPlacement:bool?, numa:&NUMA, isolateEmulatorThread:bool?, realtime:&Realtime, maxSockets:u32?
it.MemoryInstancetype guest*:qty, hugepages:&Hugepages, overcommitPercent:int64, maxGuest:qty?
it.ClockPreferences preferredClockOffset:&ClockOffset, preferredTimer:&Timer
it.CPUPreferences preferredCPUTopology:str?, spreadOptions:&it.SpreadOptions, preferredCPUFeatures:[CPUFeature]
it.DevicePreferences preferredAutoattachGraphicsDevice:bool?, preferredAutoattachMemBalloon:bool?, preferredAutoattachPodInterface:bool?, preferredAutoattachSerialConsole:bool?, preferredAutoattachInputDevice:bool?, preferredDisableHotplug:bool?, preferredVirtualGPUOptions:&VGPUOptions, preferredSoundModel:str, preferredUseVirtioTransitional:bool?, preferredInputBus:str, preferredInputType:str, preferredDiskBus:str, preferredLunBus:str, preferredCdromBus:str, preferredDiskDedicatedIoThread:bool?, preferredDiskCache:str, preferredDiskIO:str, preferredDiskBlockSize:&BlockSize, preferredInterfaceModel:str, preferredRng:&Rng, preferredBlockMultiQueue:bool?, preferredNetworkInterfaceMultiQueue:bool?, preferredTPM:&TPMDevice, preferredInterfaceMasquerade:&InterfaceMasquerade, preferredPanicDeviceModel:str?, preferredVideoType:str?
it.FeaturePreferences preferredAcpi:&FeatureState, preferredApic:&FeatureAPIC, preferredHyperv:&FeatureHyperv, preferredKvm:&FeatureKVM, preferredPvspinlock:&FeatureState, preferredSmm:&FeatureState
it.FirmwarePreferences preferredUseBios:bool?, preferredUseBiosSerial:bool?, preferredUseEfi:bool?, preferredUseSecureBoot:bool?, preferredEfi:&EFI
it.MachinePreferences preferredMachineType:str
it.VolumePreferences preferredStorageClassName:str
it.PreferenceRequirements cpu:&it.CPUPreferenceRequirement, memory:&it.MemoryPreferenceRequirement, architecture:str?
plugin.DomainHook cel:&plugin.CELDomainHook, sidecar:&plugin.SidecarDomainHook, condition:str, failureStrategy:str, timeout:duration?
plugin.NodeHook socket*:str, permittedHooks*:[str], condition:str, failureStrategy:str, timeout:duration?
plugin.AdmissionReference name*:str
pool.VirtualMachinePoolUnmanagedStrategy
pool.VirtualMachinePoolOpportunisticScaleInStrategy statePreservation:str?
pool.VirtualMachinePoolProactiveScaleInStrategy selectionPolicy:&pool.VirtualMachinePoolSelectionPolicy, statePreservation:str?
pool.VirtualMachineOpportunisticUpdateStrategy
pool.VirtualMachinePoolProactiveUpdateStrategy selectionPolicy:&pool.VirtualMachinePoolSelectionPolicy
ClockOffset utc:&ClockOffsetUTC, timezone:str?
it.SpreadOptions across:str?, ratio:u32?
it.CPUPreferenceRequirement guest*:u32
it.MemoryPreferenceRequirement guest*:qty
plugin.CELDomainHook expression*:str
plugin.SidecarDomainHook socketPath*:str
pool.VirtualMachinePoolSelectionPolicy sortPolicy:str?, selectors:&pool.VirtualMachinePoolSelectors
pool.VirtualMachinePoolSelectors labelSelector:&meta.LabelSelector, nodeSelectorRequirementMatcher:[core.NodeSelectorRequirement]?
`
