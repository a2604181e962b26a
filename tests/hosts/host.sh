# A host's first process: gives it files of its own, says so, and from then on only reaps.
# It is process 1 of a namespace, so its end is the end of everything on the host. $1 is the room the engine has.
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd /run/home /run/engine /run/etc /run/etc/upper /run/etc/work
mount -t tmpfs -o "size=$1" tmpfs /run/engine
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
mount -t tmpfs tmpfs /opt
mount -t tmpfs -o mode=1777 tmpfs /tmp
echo ready
exec >/dev/null
while :; do
  sleep 3600 &
  wait $!
done
