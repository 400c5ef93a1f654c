! Fortran: modules, arrays, derived types with bound procedures, formatted and namelist I/O, every way to stop.
! run: 12
! run: stop
! run: error
! run: bounds
! run: read
! input: 3 4.5 text\n&settings size = 7, name = 'given' /\n
! flags: -fcheck=bounds
! libraries: -lgfortran
module shapes
  use, intrinsic :: iso_fortran_env, only: real64, int64
  implicit none
  type, abstract :: shape
    character(len=:), allocatable :: name
  contains
    procedure(area_of), deferred :: area
    procedure :: describe => describe_shape
  end type
  abstract interface
    function area_of(self) result(a)
      import :: shape, real64
      class(shape), intent(in) :: self
      real(real64) :: a
    end function
  end interface
  type, extends(shape) :: circle
    real(real64) :: radius = 1
  contains
    procedure :: area => circle_area
    final :: circle_gone
  end type
  type, extends(shape) :: square
    real(real64) :: side = 2
  contains
    procedure :: area => square_area
  end type
  interface total
    module procedure total_real, total_integer
  end interface
  integer, save :: counter = 0
  common /block/ shared, words
  integer :: shared, words(4)
contains
  function circle_area(self) result(a)
    class(circle), intent(in) :: self
    real(real64) :: a
    a = 3 * self%radius**2
  end function
  subroutine circle_gone(self)
    type(circle), intent(inout) :: self
    counter = counter + 1
  end subroutine
  function square_area(self) result(a)
    class(square), intent(in) :: self
    real(real64) :: a
    a = self%side**2
  end function
  subroutine describe_shape(self)
    class(shape), intent(in) :: self
    select type (self)
    type is (circle)
      print '(a,1x,a,f8.3)', 'circle', self%name, self%area()
    class default
      print '(a,1x,a,f8.3)', 'other', self%name, self%area()
    end select
  end subroutine
  pure function total_real(values) result(t)
    real(real64), intent(in) :: values(:)
    real(real64) :: t
    t = sum(values)
  end function
  pure function total_integer(values) result(t)
    integer, intent(in) :: values(:)
    integer :: t
    t = sum(values)
  end function
  recursive function factorial(n) result(f)
    integer, intent(in) :: n
    integer(int64) :: f
    if (n < 2) then
      f = 1
    else
      f = n * factorial(n - 1)
    end if
  end function
  function apply(f, x) result(y)
    interface
      function f(x) result(y)
        import :: real64
        real(real64), intent(in) :: x
        real(real64) :: y
      end function
    end interface
    real(real64), intent(in) :: x
    real(real64) :: y
    y = f(x) + f(x + 1)
  end function
end module

program main
  use shapes
  use, intrinsic :: iso_c_binding
  implicit none
  interface
    function c_abs(x) bind(c, name='labs') result(y)
      import :: c_long
      integer(c_long), value :: x
      integer(c_long) :: y
    end function
  end interface
  class(shape), allocatable :: one
  type(circle) :: round
  integer :: i, j, number, size, ios
  real(real64) :: x, matrix(3, 3), vector(3)
  complex(real64) :: z
  character(len=20) :: word, name, argument
  character(len=80) :: line
  integer, allocatable :: list(:)
  namelist /settings/ size, name
  real(real64) :: offset

  call get_command_argument(1, argument)
  if (argument == 'stop') stop 3
  if (argument == 'error') error stop 'an error of the program'
  allocate (list(4))
  list = [(i * i, i = 1, 4)]
  number = 7
  if (argument == 'bounds') print *, list(number)
  read (*, *) number, x, word
  if (argument == 'read') read (*, *) number
  read (*, nml=settings)
  print *, number, x, trim(word), size, trim(name)
  write (*, '(3(i5,1x),es12.4,l2)') list(1), list(4), total(list), total([x, 2 * x]), .true.
  matrix = reshape([(real(i, real64), i = 1, 9)], [3, 3])
  vector = matmul(transpose(matrix), [1.0_real64, 2.0_real64, 3.0_real64])
  print '(3f9.2)', vector, maxval(matrix, dim=1)
  print '(3f9.4)', dot_product(vector, vector), norm2(vector), sum(matrix, mask=matrix > 4)
  where (matrix > 5) matrix = -matrix
  print '(9f5.1)', matrix
  print *, factorial(15), c_abs(-5_c_long), command_argument_count()
  z = exp(cmplx(0, 1, real64))
  print '(2f12.8)', z * conjg(z)
  allocate (circle :: one)
  one%name = 'round'
  call one%describe()
  deallocate (one)
  allocate (one, source=square(name='edgy', side=4))
  call one%describe()
  round%name = 'kept'
  call round%describe()
  offset = 10
  print '(f8.3)', apply(shifted, 2.0_real64)
  write (line, '(a,i0,a,z8)') 'internal ', 42, ' hex', 255
  print '(a)', trim(line)
  read (line(10:), *, iostat=ios) j
  print *, j, ios
  list = [list, 25, 36]
  print '(*(i0,:,","))', list
  shared = 5
  call touch()
  print *, shared, words, counter
  open (unit=10, status='scratch', form='unformatted')
  write (10) list
  rewind (10)
  list = 0
  read (10) list
  close (10)
  print *, list(6)
  write (0, '(a)') 'on the error stream'
  do concurrent (i = 1:3)
    vector(i) = i**2
  end do
  block
    real(16) :: wide
    wide = sqrt(2.0_16)
    print '(f36.32)', wide
  end block
  print *, vector, ichar('A'), index('hello', 'l', back=.true.), adjustr('ab  ')
  if (argument == '12') call exit(12)
contains
  function shifted(x) result(y)
    real(real64), intent(in) :: x
    real(real64) :: y
    y = x + offset
  end function
end program

subroutine touch()
  implicit none
  common /block/ shared, words
  integer :: shared, words(4)
  words = [1, 2, 3, 4] * shared
end subroutine
